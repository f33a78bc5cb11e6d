/* SPDX-License-Identifier: ISC */
/* init without the extension that tests have (tests/init). */
#include "base/include/component.h"
#include "init/init.h"

int component_main(void)
{
    return init_run(NULL);
}
