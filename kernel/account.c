/* SPDX-License-Identifier: ISC */
/* Kernel memory: the pool, accounts, slabs. See account.h. */
#include "kernel/account.h"

#include "kernel/arch.h"
#include "kernel/layout.h"
#include <string.h>

struct page {
    struct account *account;
    struct page *next, *previous; /* free list of the pool, or slab list of the account */
    uint16_t class;               /* of a slab; PAGE_WHOLE, PAGE_FREE else */
    uint16_t used;                /* slab: objects handed out */
    uint16_t free;                /* slab: offset of the first free object, NONE_FREE without */
};

#define PAGE_WHOLE UINT16_MAX
#define PAGE_FREE  (UINT16_MAX - 1)
#define NONE_FREE  UINT16_MAX
#define SLAB_MIN   64u

/* The pool is one; its place and size are set at boot. */
static struct {
    struct page *page; /* at the beginning of the pool itself */
    struct page *free;
    uint64_t physical;
    uint64_t pages, free_pages; /* that can be handed out */
    uint64_t end;               /* number behind the last page */
} pool;

static void *page_memory(const struct page *page)
{
    return (void *)(POOL_BASE + (uint64_t)(page - pool.page) * PAGE_SIZE);
}

static struct page *memory_page(const void *memory)
{
    return &pool.page[((uint64_t)memory - POOL_BASE) / PAGE_SIZE];
}

static void pool_put(struct page *page)
{
    *page = (struct page){.next = pool.free, .class = PAGE_FREE};
    if (pool.free)
        pool.free->previous = page;
    pool.free = page;
}

static void pool_take(struct page *page)
{
    if (page->previous)
        page->previous->next = page->next;
    else
        pool.free = page->next;
    if (page->next)
        page->next->previous = page->previous;
}

void pool_init(uint64_t physical, uint64_t bytes)
{
    uint64_t pages = bytes / PAGE_SIZE;
    uint64_t array = (pages * sizeof(struct page) + PAGE_SIZE - 1) / PAGE_SIZE;

    pool.page = (struct page *)POOL_BASE;
    memset(pool.page, 0, array * PAGE_SIZE);
    pool.physical = physical;
    pool.end = pages;
    pool.pages = pool.free_pages = pages - array;
    for (uint64_t i = pages; i-- > array;)
        pool_put(&pool.page[i]);
}

void *pool_reserve(void)
{
    struct page *page = pool.free;

    if (!page)
        return NULL;
    pool_take(page);
    page->class = PAGE_WHOLE;
    pool.pages--;
    pool.free_pages--;
    memset(page_memory(page), 0, PAGE_SIZE);
    return page_memory(page);
}

uint64_t pool_pages(void)
{
    return pool.pages;
}

uint64_t pool_free_pages(void)
{
    return pool.free_pages;
}

uint64_t physical_address(const void *memory)
{
    return (uint64_t)memory - POOL_BASE + pool.physical;
}

void *pool_pointer(uint64_t physical)
{
    return (void *)(physical - pool.physical + POOL_BASE);
}

struct account *account_create_root(void)
{
    /* The first account has to pay for itself: a seed on the stack lends it the page. */
    struct account seed = {.quota = pool.pages};
    struct account *root = account_allocate(&seed, sizeof(*root));
    struct page *page = memory_page(root);

    *root = seed;
    page->account = root;
    root->object = (struct object){.type = OBJECT_ACCOUNT, .references = 2}; /* the page's and the caller's */
    return root;
}

struct account *account_create(struct account *parent, uint64_t pages)
{
    struct account *account;

    if (pages > parent->quota)
        return NULL;
    parent->quota -= pages;
    account = object_create(parent, OBJECT_ACCOUNT, sizeof(*account));
    if (!account) {
        parent->quota += pages;
        return NULL;
    }
    account->parent = parent;
    object_reference(&parent->object);
    account->quota = pages;
    return account;
}

bool account_move(struct account *from, struct account *to, uint64_t pages)
{
    if (pages > from->quota)
        return false;
    from->quota -= pages;
    to->quota += pages;
    return true;
}

/* Quota comes back: to the account if it lives, else to the nearest ancestor that does. */
static void quota_return(struct account *account, uint64_t pages)
{
    while (account->object.dead && account->parent)
        account = account->parent;
    account->quota += pages;
}

static bool account_destroy(struct object *object)
{
    struct account *account = (struct account *)object;
    uint64_t quota = account->quota;

    account->quota = 0;
    quota_return(account, quota);
    return true;
}

static bool account_free(struct object *object)
{
    struct account *account = (struct account *)object, *parent = account->parent;

    (void)account_destroy(object); /* if nobody did before: always whole */
    slab_free(account);
    if (parent)
        object_release(&parent->object);
    return true;
}

const struct object_operations account_operations = {.destroy = account_destroy, .free = account_free};

/* A free page becomes the account's. */
static void *page_charge(struct account *account, struct page *page)
{
    pool_take(page);
    pool.free_pages--;
    account->quota--;
    account->used++;
    object_reference(&account->object);
    *page = (struct page){.account = account, .class = PAGE_WHOLE};
    memset(page_memory(page), 0, PAGE_SIZE);
    return page_memory(page);
}

void *account_page(struct account *account)
{
    if (!account->quota || account->object.dead || !pool.free)
        return NULL;
    return page_charge(account, pool.free);
}

#define PAIR_TRIES 256u

void *account_page_pair(struct account *account)
{
    struct page *page = pool.free;
    void *first;

    if (account->quota < 2 || account->object.dead)
        return NULL;
    for (unsigned i = 0; page && i < PAIR_TRIES; i++, page = page->next) {
        if (page + 1 == pool.page + pool.end || (page + 1)->class != PAGE_FREE)
            continue;
        first = page_charge(account, page);
        (void)page_charge(account, page + 1);
        return first;
    }
    return NULL;
}

void page_chain(void *memory, void **chain)
{
    memory_page(memory)->next = *chain ? memory_page(*chain) : NULL;
    *chain = memory;
}

void *page_unchain(void **chain)
{
    void *memory = *chain;

    if (memory)
        *chain = memory_page(memory)->next ? page_memory(memory_page(memory)->next) : NULL;
    return memory;
}

void page_free(void *memory)
{
    struct page *page = memory_page(memory);
    struct account *account = page->account;

    pool_put(page);
    pool.free_pages++;
    account->used--;
    quota_return(account, 1);
    object_release(&account->object);
}

static void slab_link(struct account *account, struct page *page)
{
    struct page **head = &account->slab[page->class];

    page->previous = NULL;
    page->next = *head;
    if (*head)
        (*head)->previous = page;
    *head = page;
}

static void slab_unlink(struct account *account, struct page *page)
{
    if (page->previous)
        page->previous->next = page->next;
    else
        account->slab[page->class] = page->next;
    if (page->next)
        page->next->previous = page->previous;
}

static struct page *slab_create(struct account *account, uint16_t class)
{
    uint8_t *memory = account_page(account);
    unsigned size = SLAB_MIN << class;
    struct page *page;

    if (!memory)
        return NULL;
    page = memory_page(memory);
    page->class = class;
    for (unsigned offset = 0; offset < PAGE_SIZE; offset += size)
        *(uint16_t *)(memory + offset) = offset + size < PAGE_SIZE ? (uint16_t)(offset + size) : NONE_FREE;
    slab_link(account, page);
    return page;
}

void *account_allocate(struct account *account, size_t size)
{
    uint16_t class = 0;
    struct page *page;
    uint8_t *memory;

    while ((SLAB_MIN << class) < size)
        class ++;
    page = account->slab[class];
    if (!page)
        page = slab_create(account, class);
    if (!page)
        return NULL;
    memory = (uint8_t *)page_memory(page) + page->free;
    page->free = *(uint16_t *)memory;
    page->used++;
    if (page->free == NONE_FREE)
        slab_unlink(account, page);
    memset(memory, 0, SLAB_MIN << class);
    return memory;
}

void slab_free(void *memory)
{
    struct page *page = memory_page(memory);
    struct account *account = page->account;

    *(uint16_t *)memory = page->free;
    if (page->free == NONE_FREE)
        slab_link(account, page);
    page->free = (uint16_t)((uint64_t)memory % PAGE_SIZE);
    if (--page->used)
        return;
    slab_unlink(account, page);
    page_free(page_memory(page));
}
