/* SPDX-License-Identifier: ISC */
/* The small program that the guest's own compiler compiles and runs: sorts numbers and says whether they are.
 * It stands alone, without a C library. */
typedef unsigned long number;

#define COUNT 2000
#define WRITE 1
#define EXIT  60

static number values[COUNT], other[COUNT];

static number call(number what, number a, number b, number c)
{
    number result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(what), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void fill(void)
{
    number seed = 1;
    int i;

    for (i = 0; i < COUNT; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        values[i] = seed;
    }
}

static void merge(number *to, const number *a, int a_count, const number *b, int b_count)
{
    while (a_count || b_count) {
        if (!b_count || (a_count && *a <= *b)) {
            *to++ = *a++;
            a_count--;
        } else {
            *to++ = *b++;
            b_count--;
        }
    }
}

static void sort(number *array, number *spare, int count)
{
    int half = count / 2, i;

    if (count < 2)
        return;
    sort(array, spare, half);
    sort(array + half, spare + half, count - half);
    merge(spare, array, half, array + half, count - half);
    for (i = 0; i < count; i++)
        array[i] = spare[i];
}

static int is_sorted(void)
{
    int i;

    for (i = 1; i < COUNT; i++)
        if (values[i - 1] > values[i])
            return 0;
    return 1;
}

void _start(void)
{
    fill();
    if (is_sorted())
        call(EXIT, 1, 0, 0);
    sort(values, other, COUNT);
    if (is_sorted())
        call(WRITE, 1, (number) "sorted\n", 7);
    call(EXIT, !is_sorted(), 0, 0);
}
