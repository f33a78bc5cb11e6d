/* SPDX-License-Identifier: ISC */
/*
 * Which server a request for a session goes to. The decision depends on the configuration alone.
 */
#pragma once

#include "init/config.h"

enum route_decision {
    ROUTE_DENIED, /* no rule matches */
    ROUTE_PARENT,
    ROUTE_CHILD,
    ROUTE_CONFIG, /* the component's own configuration, from init itself; needs no rule */
};

/* `client`: index into config->start. The first rule that matches wins: *rule; NULL if there is none. */
enum route_decision route_find(const struct init_config *config, unsigned client, const char *service,
                               const char *label, const char *arguments, const struct config_route **rule)
    __attribute__((warn_unused_result));

/* The label that the server of the rule gets to see. */
static inline const char *route_label(const struct config_route *rule, const char *label)
{
    return rule->child_label[0] != '\0' ? rule->child_label : label;
}
