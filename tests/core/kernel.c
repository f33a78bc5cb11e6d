/* SPDX-License-Identifier: ISC */
/* The model of the kernel: kernel.h. */
#include "tests/core/kernel.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK    512u
#define BLOCKS   (OBJ_SELECTORS / BLOCK)
#define PINS     64u
#define CPUS     2u
#define USER_END (0x7fffffffd000u / 4096)
#define MESSAGE  0xfee00000u

struct model model;

static void *zeroed(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory)
        abort();
    return memory;
}

/* ---- accounts and objects */

static void account_give(struct model_object *account, uint64_t pages)
{
    account->used -= pages;
    while (account->dead && account->account) {
        account = account->account;
        account->used -= pages;
    }
    account->free += pages;
}

static bool account_take(struct model_object *account, uint64_t pages)
{
    if (account->free < pages)
        return false;
    account->free -= pages;
    account->used += pages;
    return true;
}

static void object_release(struct model_object *object);
static void object_destroy(struct model_object *object);

static void object_free(struct model_object *object)
{
    struct model_object **link = &model.objects;

    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    if (object->account) {
        account_give(object->account, 1);
        object->account->charges--;
        object_release(object->account);
    }
    free(object);
}

/* An account lives as long as it is charged for something, any other object as long as a capability names it.
 */
static void object_release(struct model_object *object)
{
    if (!object->capabilities && !object->charges && object->type != OBJECT_PLATFORM)
        object_free(object);
}

static void capability_clear(struct model_capability *capability)
{
    struct model_object *object = capability->object;

    *capability = (struct model_capability){0};
    if (!object)
        return;
    if (object->capabilities == 1)
        object_destroy(object);
    object->capabilities--;
    object_release(object);
}

static void space_clear(struct model_object *space)
{
    struct model_capability **block = space->block;

    space->block = NULL;
    for (unsigned i = 0; block && i < BLOCKS; i++) {
        for (unsigned j = 0; block[i] && j < BLOCK; j++)
            capability_clear(&block[i][j]);
        if (block[i] && space->account)
            account_give(space->account, 1);
        free(block[i]);
    }
    free(block);
    free(space->range);
    space->range = NULL;
    space->ranges = 0;
}

static void object_destroy(struct model_object *object)
{
    bool again = true;

    if (object->dead)
        return;
    object->dead = true;
    if (object->type == OBJECT_SPACE)
        space_clear(object);
    if (object->type == OBJECT_ACCOUNT && object->account) {
        uint64_t left = object->free;
        object->free = 0;
        account_give(object->account, left);
    }
    /* What stands in a PD ends with it; the list may change with each. */
    while (object->type == OBJECT_PD && again) {
        again = false;
        for (struct model_object *other = model.objects; other && !again; other = other->next)
            if (other->pd == object && !other->dead &&
                (other->type == OBJECT_SPACE || other->type == OBJECT_EC)) {
                object_destroy(other);
                again = true;
            }
    }
}

/* ---- capabilities */

const struct model_capability *model_capability(const struct model_object *obj, uint64_t at)
{
    static const struct model_capability none;

    return at < OBJ_SELECTORS && obj->block && obj->block[at / BLOCK] ? &obj->block[at / BLOCK][at % BLOCK]
                                                                      : &none;
}

static enum status capability_place(struct model_object *obj, uint64_t at, struct model_capability **place)
{
    if (at >= OBJ_SELECTORS)
        return STATUS_BAD_ARG;
    if (!obj->block)
        obj->block = zeroed(BLOCKS * sizeof(*obj->block));
    if (!obj->block[at / BLOCK]) {
        if (obj->account && !account_take(obj->account, 1))
            return STATUS_NO_MEMORY;
        obj->block[at / BLOCK] = zeroed(BLOCK * sizeof(**obj->block));
    }
    *place = &obj->block[at / BLOCK][at % BLOCK];
    return (*place)->object ? STATUS_EXISTS : STATUS_OK;
}

static void capability_set(struct model_capability *place, struct model_object *object, unsigned permissions,
                           uint64_t bits)
{
    *place = (struct model_capability){object, permissions, bits};
    object->capabilities++;
}

/* The object of a type at a selector, for whoever has the permission. */
static enum status find(uint64_t at, enum object_type type, unsigned permission, struct model_object **object)
{
    const struct model_capability *capability = model_capability(model.obj, at);

    if (!capability->object || (type != OBJECT_NONE && capability->object->type != type))
        return STATUS_BAD_CAP;
    if (permission & ~capability->permissions)
        return STATUS_BAD_PERM;
    if (capability->object->dead && permission != PERM_DESTROY)
        return STATUS_DEAD;
    *object = capability->object;
    return STATUS_OK;
}

static enum status create(uint64_t at, uint64_t account, enum object_type type, struct model_object **object)
{
    struct model_capability *place;
    struct model_object *payer;
    enum status status = find(account, OBJECT_ACCOUNT, PERM_ACCOUNT_USE, &payer);

    if (status == STATUS_OK)
        status = capability_place(model.obj, at, &place);
    if (status == STATUS_OK && !account_take(payer, 1))
        status = STATUS_NO_MEMORY;
    if (status != STATUS_OK)
        return status;
    payer->charges++;
    *object = zeroed(sizeof(**object));
    **object = (struct model_object){.type = type, .account = payer, .next = model.objects};
    model.objects = *object;
    capability_set(place, *object, PERM_ALL, UINT64_MAX);
    return STATUS_OK;
}

/* ---- ranges of memory and ports */

static void range_add(struct model_object *space, struct model_range range)
{
    if (!range.count)
        return;
    space->range = realloc(space->range, (space->ranges + 1) * sizeof(range));
    if (!space->range)
        abort();
    space->range[space->ranges++] = range;
}

static void range_remove(struct model_object *space, uint64_t at, uint64_t count)
{
    for (unsigned i = 0; i < space->ranges;) {
        struct model_range old = space->range[i];
        uint64_t end = old.at + old.count, from = at > old.at ? at : old.at,
                 to = at + count < end ? at + count : end;

        if (from >= to) {
            i++;
            continue;
        }
        space->range[i] = space->range[--space->ranges];
        range_add(space, (struct model_range){old.at, from - old.at, old.source, old.rights});
        range_add(space, (struct model_range){to, end - to, old.source + (to - old.at), old.rights});
        i = 0;
    }
}

const struct model_range *model_mapping(const struct model_object *space, uint64_t page)
{
    for (unsigned i = 0; i < space->ranges; i++)
        if (page >= space->range[i].at && page < space->range[i].at + space->range[i].count)
            return &space->range[i];
    return NULL;
}

/* ---- calls */

/* Whether this call, which needs memory, is the one that finds none. */
static bool fails(void)
{
    if (!model.fail || --model.fail)
        return false;
    model.failed = true;
    return true;
}

static enum status copy_capabilities(struct model_object *source, uint64_t from, struct model_object *target,
                                     uint64_t to, uint64_t count, uint64_t rights)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct model_capability *capability = model_capability(source, from + i);
        struct model_capability *place;
        enum status status;

        if (!capability->object)
            continue;
        status = capability_place(target, to + i, &place);
        if (status != STATUS_OK)
            return status;
        capability_set(place, capability->object, capability->permissions & (unsigned)rights,
                       capability->bits);
    }
    return STATUS_OK;
}

static uint64_t space_end(const struct model_object *space)
{
    switch (space->kind) {
    case SPACE_OBJ:
        return OBJ_SELECTORS;
    case SPACE_HST:
        return HST_PAGES;
    case SPACE_PIO:
    case SPACE_PORTS:
        return PIO_PORTS;
    default:
        return GST_PAGES;
    }
}

static enum status space_copy_call(uint64_t a, uint64_t from, uint64_t c, uint64_t to, uint64_t count,
                                   uint64_t rights)
{
    struct model_object *source, *target;
    enum status status = find(a, OBJECT_SPACE, PERM_SPACE_TAKE, &source);
    bool half = fails();

    if (status == STATUS_OK)
        status = find(c, OBJECT_SPACE, PERM_SPACE_GRANT, &target);
    if (status != STATUS_OK)
        return status;
    if (from > space_end(source) || count > space_end(source) - from || to > space_end(target) ||
        count > space_end(target) - to)
        return STATUS_BAD_ARG;
    if (source->kind == SPACE_OBJ && target->kind == SPACE_OBJ)
        return half ? STATUS_NO_MEMORY : copy_capabilities(source, from, target, to, count, rights);
    if (source->kind == SPACE_PORTS ? target->kind != SPACE_PIO || from != to
                                    : source->kind != SPACE_MEM || !(rights & MEM_READ))
        return STATUS_BAD_ARG;
    if (source->kind == SPACE_MEM && target->kind != SPACE_HST && target->kind != SPACE_GST &&
        target->kind != SPACE_DMA)
        return STATUS_BAD_ARG;
    count = half ? count / 2 : count;
    if (target != model_object(ROOT_HST)) {
        model.work += count % BLOCK + count / BLOCK;
        range_remove(target, to, count);
        range_add(target, (struct model_range){to, count, source->kind == SPACE_MEM ? from : 0, rights});
    }
    return half ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status space_remove_call(uint64_t a, uint64_t at, uint64_t count)
{
    struct model_object *space;
    enum status status = find(a, OBJECT_SPACE, PERM_SPACE_GRANT, &space);

    if (status != STATUS_OK)
        return status;
    if (at > space_end(space) || count > space_end(space) - at)
        return STATUS_BAD_ARG;
    if (space->kind != SPACE_OBJ) {
        model.work += count;
        range_remove(space, at, count);
        return STATUS_OK;
    }
    for (uint64_t i = 0; i < count; i++)
        if (model_capability(space, at + i)->object)
            capability_clear(&space->block[(at + i) / BLOCK][(at + i) % BLOCK]);
    return STATUS_OK;
}

static enum status nt_narrow_call(uint64_t nt, uint64_t at, uint64_t bits)
{
    struct model_object *object;
    struct model_capability *place;
    enum status status = find(nt, OBJECT_NT, PERM_NT_WAIT, &object);

    if (status == STATUS_OK)
        status = capability_place(model.obj, at, &place);
    if (status == STATUS_OK)
        capability_set(place, object, PERM_NT_SIGNAL, bits & model_capability(model.obj, nt)->bits);
    return status;
}

static bool taken(enum object_type type, uint64_t id)
{
    for (const struct model_object *object = model.objects; object; object = object->next)
        if (object->type == type && object->id == id && !object->dead)
            return true;
    return false;
}

/* A space of a PD; each has one of a kind. */
static struct model_object *part(const struct model_object *pd, enum space_kind kind)
{
    for (struct model_object *object = model.objects; object; object = object->next)
        if (object->type == OBJECT_SPACE && object->pd == pd && object->kind == kind && !object->dead)
            return object;
    return NULL;
}

static enum status create_space_call(uint64_t at, uint64_t account, uint64_t kind, uint64_t pd)
{
    struct model_object *object, *owner = NULL;
    enum status status = STATUS_OK;

    if (kind > SPACE_MSR)
        return STATUS_BAD_ARG;
    if (kind <= SPACE_PIO)
        status = find(pd, OBJECT_PD, PERM_PD_BIND, &owner);
    if (status == STATUS_OK && owner && part(owner, (enum space_kind)kind))
        return STATUS_EXISTS;
    if (status == STATUS_OK)
        status = create(at, account, OBJECT_SPACE, &object);
    if (status != STATUS_OK)
        return status;
    object->kind = (enum space_kind)kind;
    object->pd = owner;
    return STATUS_OK;
}

static enum status create_ec_call(uint64_t at, uint64_t account, uint64_t pd, uint64_t utcb)
{
    struct model_object *object, *owner;
    enum status status = find(pd, OBJECT_PD, PERM_PD_BIND, &owner);

    if (status != STATUS_OK)
        return status;
    if (!part(owner, SPACE_OBJ) || !part(owner, SPACE_HST) || utcb / 4096 >= USER_END)
        return STATUS_BAD_ARG;
    if ((utcb >> EC_CPU_SHIFT & 63) >= CPUS)
        return STATUS_BAD_CPU;
    if (model_mapping(part(owner, SPACE_HST), utcb / 4096))
        return STATUS_EXISTS;
    status = create(at, account, OBJECT_EC, &object);
    if (status == STATUS_OK)
        object->pd = owner;
    return status;
}

/* What hangs on another object: SC and portal on an EC, a vCPU on a GST space. */
static enum status create_on(uint64_t at, uint64_t account, enum object_type type, uint64_t on,
                             enum object_type what, unsigned permission, uint64_t id)
{
    struct model_object *object, *other;
    enum status status = find(on, what, permission, &other);

    if (status == STATUS_OK)
        status = create(at, account, type, &object);
    if (status != STATUS_OK)
        return status;
    object->id = id;
    return STATUS_OK;
}

static enum status create_interrupt_call(uint64_t at, uint64_t account, uint64_t platform, uint64_t gsi,
                                         uint64_t device, uint64_t *first, uint64_t *second)
{
    static unsigned messages;
    struct model_object *object;
    enum status status = find(platform, OBJECT_PLATFORM, PERM_PLATFORM_IRQ, &object);
    uint64_t id = gsi & 0xffff;

    if (status == STATUS_OK && gsi & INTERRUPT_MSI) {
        status = find(device, OBJECT_DEVICE, PERM_DEVICE_INTERRUPT, &object);
        id = 0x10000u + messages++;
        *first = MESSAGE;
        *second = id & 0xff;
    } else if (status == STATUS_OK && id >= PINS) {
        return STATUS_BAD_ARG;
    } else if (status == STATUS_OK && taken(OBJECT_INTERRUPT, id)) {
        return STATUS_BUSY;
    }
    if (status == STATUS_OK)
        status = create(at, account, OBJECT_INTERRUPT, &object);
    if (status == STATUS_OK)
        object->id = id;
    return status;
}

static enum status create_device_call(uint64_t at, uint64_t account, uint64_t platform, uint64_t id)
{
    struct model_object *object;
    enum status status = find(platform, OBJECT_PLATFORM, PERM_PLATFORM_DEVICE, &object);

    if (status == STATUS_OK && taken(OBJECT_DEVICE, id))
        return STATUS_BUSY;
    if (status == STATUS_OK)
        status = create(at, account, OBJECT_DEVICE, &object);
    if (status == STATUS_OK)
        object->id = id;
    return status;
}

static enum status device_assign_call(uint64_t device, uint64_t space)
{
    struct model_object *object, *target = NULL;
    enum status status = find(device, OBJECT_DEVICE, PERM_DEVICE_ASSIGN, &object);

    if (status == STATUS_OK && space)
        status = find(space, OBJECT_SPACE, PERM_SPACE_ASSIGN, &target);
    if (status == STATUS_OK)
        object->pd = target;
    return status;
}

static enum status create_account_call(uint64_t at, uint64_t account, uint64_t pages)
{
    struct model_object *object;
    enum status status = create(at, account, OBJECT_ACCOUNT, &object);

    if (status != STATUS_OK)
        return status;
    if (!account_take(object->account, pages)) {
        capability_clear(&model.obj->block[at / BLOCK][at % BLOCK]);
        return STATUS_NO_MEMORY;
    }
    object->free = pages;
    return STATUS_OK;
}

static enum status platform_call(uint64_t platform, uint64_t operation, uint64_t *first, uint64_t *second)
{
    struct model_object *object;
    enum status status = find(platform, OBJECT_PLATFORM, 0, &object);

    if (status != STATUS_OK)
        return status;
    switch (operation) {
    case PLATFORM_FREE_PAGES:
        *first = model_object(ROOT_ACCOUNT)->free;
        *second = model.kernel_pages;
        return STATUS_OK;
    case PLATFORM_IDLE_TIME:
        return STATUS_OK;
    case PLATFORM_DMA_FAULT:
        *first = model.faults ? DMA_FAULT_VALID | 0x20 : 0;
        model.faults -= model.faults != 0;
        return STATUS_OK;
    default:
        return STATUS_UNSUPPORTED;
    }
}

static enum status pd_call(enum call call, uint64_t a, uint64_t b)
{
    struct model_object *pd, *nt;
    enum status status = find(a, OBJECT_PD, PERM_PD_BIND, &pd);

    if (status != STATUS_OK || call == CALL_PD_FAULT)
        return status;
    status = find(b, OBJECT_NT, PERM_NT_SIGNAL, &nt);
    if (status == STATUS_OK && pd->watched)
        status = STATUS_EXISTS;
    pd->watched |= status == STATUS_OK;
    return status;
}

static enum status cap_info_call(uint64_t a, uint64_t at, uint64_t *first, uint64_t *second)
{
    struct model_object *space;
    enum status status = find(a, OBJECT_SPACE, PERM_SPACE_TAKE, &space);
    const struct model_capability *capability;

    if (status != STATUS_OK)
        return status;
    if (space->kind != SPACE_OBJ || at >= OBJ_SELECTORS)
        return STATUS_BAD_ARG;
    capability = model_capability(space, at);
    *first = capability->object ? (uint64_t)capability->object->type | capability->permissions << 8 : 0;
    *second = capability->bits;
    return STATUS_OK;
}

enum status system_call(enum call call, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                        uint64_t f, uint64_t *first, uint64_t *second)
{
    struct model_object *object, *other;
    enum status status;

    model.calls++;
    model.work++;
    *first = *second = 0;
    if (call != CALL_SPACE_COPY &&
        ((call >= CALL_CREATE_ACCOUNT && call <= CALL_CREATE_VCPU && call != CALL_PD_FAULT &&
          call != CALL_PD_WATCH) ||
         call == CALL_NT_NARROW || call == CALL_CREATE_DEVICE || call == CALL_DEVICE_ASSIGN)) {
        if (fails())
            return STATUS_NO_MEMORY;
    }
    switch (call) {
    case CALL_CREATE_ACCOUNT:
        return create_account_call(a, b, c);
    case CALL_CREATE_PD:
        return create(a, b, OBJECT_PD, &object);
    case CALL_PD_WATCH:
    case CALL_PD_FAULT:
        return pd_call(call, a, b);
    case CALL_CREATE_SPACE:
        return create_space_call(a, b, c, d);
    case CALL_CREATE_EC:
        return create_ec_call(a, b, c, d);
    case CALL_CREATE_SC:
        return create_on(a, b, OBJECT_SC, c, OBJECT_EC, PERM_EC_BIND_SC, 0);
    case CALL_CREATE_PT:
        return create_on(a, b, OBJECT_PT, c, OBJECT_EC, PERM_EC_BIND_PT, e);
    case CALL_CREATE_NT:
        return create(a, b, OBJECT_NT, &object);
    case CALL_CREATE_INTERRUPT:
        return create_interrupt_call(a, b, c, d, e, first, second);
    case CALL_CREATE_VCPU:
        return create_on(a, b, OBJECT_VCPU, d, OBJECT_SPACE, PERM_SPACE_ASSIGN, 0);
    case CALL_CREATE_DEVICE:
        return create_device_call(a, b, c, d);
    case CALL_DEVICE_ASSIGN:
        return device_assign_call(a, b);
    case CALL_DESTROY:
        status = find(a, OBJECT_NONE, PERM_DESTROY, &object);
        if (status == STATUS_OK)
            object_destroy(object);
        return status;
    case CALL_SPACE_COPY:
        return space_copy_call(a, b, c, d, e, f);
    case CALL_SPACE_REMOVE:
        return space_remove_call(a, b, c);
    case CALL_CAP_INFO:
        return cap_info_call(a, b, first, second);
    case CALL_NT_NARROW:
        return nt_narrow_call(a, b, c);
    case CALL_NT_SIGNAL:
        model.signals++;
        return find(a, OBJECT_NT, PERM_NT_SIGNAL, &object);
    case CALL_INTERRUPT_BIND:
        status = find(a, OBJECT_INTERRUPT, PERM_INTERRUPT_BIND, &object);
        return status == STATUS_OK ? find(b, OBJECT_NT, PERM_NT_SIGNAL, &other) : status;
    case CALL_ACCOUNT_INFO:
        status = find(a, OBJECT_ACCOUNT, PERM_ACCOUNT_INFO, &object);
        if (status == STATUS_OK) {
            *first = object->free;
            *second = object->used;
        }
        return status;
    case CALL_PLATFORM_CONTROL:
        return platform_call(a, b, first, second);
    case CALL_EC_CONTROL:
        status = find(a, OBJECT_EC, PERM_EC_CONTROL, &object);
        if (status == STATUS_OK && b == EC_TIME)
            *first = object->time;
        return status == STATUS_OK && b != EC_TIME ? STATUS_BAD_ARG : status;
    default:
        fprintf(stderr, "the model has no call %u\n", call);
        abort();
    }
}

/* ---- for tests */

static struct model_object *root_object(uint64_t at, enum object_type type, enum space_kind kind)
{
    struct model_object *object = zeroed(sizeof(*object));
    struct model_capability *place;

    *object = (struct model_object){.type = type, .kind = kind, .next = model.objects};
    model.objects = object;
    if (at == ROOT_OBJ)
        model.obj = object;
    if (capability_place(model.obj, at, &place) != STATUS_OK)
        abort();
    capability_set(place, object, PERM_ALL, UINT64_MAX);
    return object;
}

void model_start(uint64_t kernel_pages)
{
    static const struct {
        uint64_t at;
        enum object_type type;
        enum space_kind kind;
    } roots[] = {
        {ROOT_OBJ, OBJECT_SPACE, SPACE_OBJ},
        {ROOT_PD, OBJECT_PD, 0},
        {ROOT_HST, OBJECT_SPACE, SPACE_HST},
        {ROOT_PIO, OBJECT_SPACE, SPACE_PIO},
        {ROOT_EC, OBJECT_EC, 0},
        {ROOT_SC, OBJECT_SC, 0},
        {ROOT_MEM, OBJECT_SPACE, SPACE_MEM},
        {ROOT_PORTS, OBJECT_SPACE, SPACE_PORTS},
        {ROOT_PLATFORM, OBJECT_PLATFORM, 0},
        {ROOT_MSRS, OBJECT_SPACE, SPACE_MSRS},
    };

    model = (struct model){.kernel_pages = kernel_pages};
    for (unsigned i = 0; i < sizeof(roots) / sizeof(*roots); i++)
        root_object(roots[i].at, roots[i].type, roots[i].kind);
    root_object(ROOT_ACCOUNT, OBJECT_ACCOUNT, 0)->free = kernel_pages;
    for (unsigned at = ROOT_OBJ; at <= ROOT_PIO; at++)
        model_object(at)->pd = model_object(ROOT_PD);
}

void model_end(void)
{
    while (model.objects) {
        struct model_object *object = model.objects;
        struct model_capability **block = object->block;

        model.objects = object->next;
        for (unsigned i = 0; block && i < BLOCKS; i++)
            free(block[i]);
        free(block);
        free(object->range);
        free(object);
    }
}

struct model_object *model_object(uint64_t at)
{
    struct model_object *object = model_capability(model.obj, at)->object;

    return object && !object->dead ? object : NULL;
}

unsigned model_capabilities(const struct model_object *obj)
{
    unsigned count = 0;

    for (unsigned i = 0; obj->block && i < BLOCKS; i++)
        for (unsigned j = 0; obj->block[i] && j < BLOCK; j++)
            count += obj->block[i][j].object != NULL;
    return count;
}

unsigned model_count(enum object_type type)
{
    unsigned count = 0;

    for (const struct model_object *object = model.objects; object; object = object->next)
        count += object->type == type;
    return count;
}
