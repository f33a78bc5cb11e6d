/* SPDX-License-Identifier: ISC */
/*
 * What the scenario has init-test do to components, in place of init:
 *
 *   <test account="yes">                                   a line on what is free before each start
 *     <kill name="vmm" times="100" milliseconds="500" seed="1"/>
 *     <capabilities name="vmm" milliseconds="3000" then="evil"/>
 *   </test>
 */
#pragma once

#include "init/config.h"

#define TEST_KILLS 8u
#define TEST_DUMPS 4u

/* The component is killed and started again at random moments. */
struct test_kill {
    unsigned start; /* index */
    unsigned times;
    unsigned milliseconds; /* it lives for 0 to this many between two kills */
    unsigned seed;
};

/* What the component's selectors stand for, a line each on the log. */
struct test_dump {
    unsigned start;        /* index */
    unsigned milliseconds; /* after its start */
    bool first;            /* the component `then` is started when it is done */
    unsigned then;
};

struct test_config {
    bool account;
    unsigned kills, dumps;
    struct test_kill kill[TEST_KILLS];
    struct test_dump dump[TEST_DUMPS];
};

extern const struct xml_schema test_schema;
extern struct test_config test_config;

/* The element <test>, into test_config. */
bool test_read(const struct xml_node *node, const struct init_config *config, struct xml_error *error)
    __attribute__((warn_unused_result));
