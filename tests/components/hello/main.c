/* SPDX-License-Identifier: ISC */
/*
 * The smallest component: a line on the log, then it ends. That it appears says that the kernel, core, init,
 * the route to LOG and IPC work.
 */
#include "base/include/component.h"
#include "base/include/log.h"

int component_main(void)
{
    log_line("hello: done");
    return 0;
}
