/* SPDX-License-Identifier: ISC */
/* A pairing heap of deadlines. See timer.h. Iterative throughout: the kernel's stack is small. */
#include "kernel/timer.h"

#include <stddef.h>

/* Join two heaps; the later root becomes the first child of the earlier. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    struct timer *first = a, *second = b;

    if (!a)
        return b;
    if (!b)
        return a;
    if (b->deadline < a->deadline) {
        first = b;
        second = a;
    }
    second->sibling = first->child;
    if (second->sibling)
        second->sibling->previous = second;
    second->previous = first;
    first->child = second;
    first->sibling = first->previous = NULL;
    return first;
}

/* Join a list of siblings, in pairs from the left and then all from the right. */
static struct timer *meld_siblings(struct timer *list)
{
    struct timer *pairs = NULL, *root = NULL;

    while (list) {
        struct timer *a = list, *b = a->sibling;

        list = b ? b->sibling : NULL;
        a->sibling = a->previous = NULL;
        if (b)
            b->sibling = b->previous = NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *next = pairs->sibling;

        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void timer_insert(struct timer_queue *queue, struct timer *timer)
{
    timer->child = timer->sibling = timer->previous = NULL;
    timer->queued = true;
    queue->root = meld(queue->root, timer);
}

void timer_remove(struct timer_queue *queue, struct timer *timer)
{
    struct timer *rest = meld_siblings(timer->child);

    if (timer == queue->root) {
        queue->root = rest;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->sibling;
        else
            timer->previous->sibling = timer->sibling;
        if (timer->sibling)
            timer->sibling->previous = timer->previous;
        queue->root = meld(queue->root, rest);
    }
    timer->queued = false;
    timer->child = timer->sibling = timer->previous = NULL;
}
