/* SPDX-License-Identifier: ISC */
/* The parts of init-test, which come to init's by its extension. */
#pragma once

#include "init/init.h"
#include "servers/info/free.h"
#include "tests/init/config.h"

/* kill.c */
void kills_begin(struct init *init);
/* What is free while the component is not there: the same each time if nothing leaks. */
void kills_account(struct init *init, unsigned index);
uint64_t kills_work(struct init *init);
/* A test still means to kill it. */
bool will_be_killed(unsigned index);

/* capabilities.c */
void capabilities_begin(struct init *init);
/* Returns the TSC at which it wants to be called again, as kills_work(). */
uint64_t capabilities_work(struct init *init);
