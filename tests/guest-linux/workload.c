/* SPDX-License-Identifier: ISC */
/*
 * What a guest does beyond booting, for tools/bench_linux.py: processes, memory and pipes, each so often that
 * it takes about a second under emulation. Linked statically, for Linux.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS        600
#define EXECS        100
#define MAPPINGS     120
#define MAPPING_SIZE (4l << 20)
#define PAGE         4096
#define ROUND_TRIPS  8000

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void await(pid_t child)
{
    int status;

    if (child < 0 || waitpid(child, &status, 0) != child || status)
        fail("child");
}

static void do_fork(char *self)
{
    char *arguments[] = {self, "nothing", NULL};

    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        await(child);
    }
    for (int i = 0; i < EXECS; i++) {
        pid_t child = fork();

        if (child == 0) {
            execv(self, arguments);
            _exit(1);
        }
        await(child);
    }
}

static void do_mmap(void)
{
    for (int i = 0; i < MAPPINGS; i++) {
        char *memory = mmap(NULL, MAPPING_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            fail("mmap");
        for (long at = 0; at < MAPPING_SIZE; at += PAGE)
            memory[at] = 1;
        if (munmap(memory, MAPPING_SIZE))
            fail("munmap");
    }
}

static void do_pipe(void)
{
    int there[2], back[2];
    char byte = 0;
    pid_t child;

    if (pipe(there) || pipe(back))
        fail("pipe");
    child = fork();
    for (int i = 0; i < ROUND_TRIPS; i++) {
        if (child == 0) {
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
                fail("pipe");
        } else {
            if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
                fail("pipe");
        }
    }
    if (child == 0)
        _exit(0);
    await(child);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "fork") == 0)
        do_fork(argv[0]);
    else if (strcmp(what, "mmap") == 0)
        do_mmap();
    else if (strcmp(what, "pipe") == 0)
        do_pipe();
    else if (strcmp(what, "nothing") != 0)
        return 2;
    return 0;
}
