/* SPDX-License-Identifier: ISC */
/* init for tests: the same, with the element <test> of tests/init/config.h. */
#include "base/include/component.h"
#include "tests/init/test.h"

static uint64_t test_work(struct init *init)
{
    return init_earlier(kills_work(init), capabilities_work(init));
}

static void test_begin(struct init *init)
{
    kills_begin(init);
    capabilities_begin(init);
}

/* Once more when it runs: its kills and its list are due from then on. */
static void test_starts(struct init *init, unsigned index)
{
    kills_account(init, index);
    creator_signal(INIT_CAP_WORK);
}

static const struct init_extension extension = {
    .config = {&test_schema, test_read}, .begin = test_begin, .starts = test_starts, .work = test_work};

int component_main(void)
{
    return init_run(&extension);
}
