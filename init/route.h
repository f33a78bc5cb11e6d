/* SPDX-License-Identifier: ISC */
/*
 * Which server a request for a session goes to. The decision depends on the configuration alone.
 */
#pragma once

#include "init/config.h"

enum route_decision {
    ROUTE_DENIED, /* no rule matches */
    ROUTE_PARENT,
    ROUTE_CHILD,  /* *server is its index */
    ROUTE_CONFIG, /* the component's own configuration, from init itself; needs no rule */
};

/* `client`: index into config->start. The first rule that matches wins. */
enum route_decision route_find(const struct init_config *config, unsigned client, const char *service,
                               const char *label, const char *arguments, unsigned *server)
    __attribute__((warn_unused_result));
