/* SPDX-License-Identifier: ISC */
/*
 * Routing: a whitelist, exact strings, first match. Only one rule is implied: a component may
 * read its own configuration. A rule for exactly that label can route it to another component; a rule for all
 * labels does not.
 */
#include "init/route.h"

#include <string.h>

static bool route_matches(const struct config_route *route, const char *service, const char *label,
                          const char *arguments)
{
    return strcmp(route->service, service) == 0 && (route->any_label || strcmp(route->label, label) == 0) &&
           (route->any_arguments || strcmp(route->arguments, arguments) == 0);
}

enum route_decision route_find(const struct init_config *config, unsigned client, const char *service,
                               const char *label, const char *arguments, const struct config_route **rule)
{
    *rule = NULL;
    const struct config_start *start = &config->start[client];
    bool own = strcmp(service, "ROM") == 0 && strcmp(label, "config") == 0;
    for (unsigned i = 0; i < start->routes; i++) {
        const struct config_route *route = &start->route[i];
        if (route_matches(route, service, label, arguments) && !(own && route->any_label)) {
            *rule = route;
            return route->to_parent ? ROUTE_PARENT : ROUTE_CHILD;
        }
    }
    return own ? ROUTE_CONFIG : ROUTE_DENIED;
}
