/* SPDX-License-Identifier: ISC */
/*
 * From one configuration to another while the components run. A component that is the same in both is left alone.
 * New components are started, removed ones are stopped, changed ones are stopped and started. Routes to other
 * components change under a component that runs: sessions that the new routes do not allow end. Sessions that the
 * parent has given it cannot be taken back one by one: with fewer routes there it is started again.
 */
#include "init/init.h"

#include "base/include/component.h"

#include <string.h>

#define GONE_MILLISECONDS 50u /* before a changed one is started: its servers let go meanwhile */

static bool routes_overlap(const struct config_route *a, const struct config_route *b)
{
    return strcmp(a->service, b->service) == 0 &&
           (a->any_label || b->any_label || strcmp(a->label, b->label) == 0) &&
           (a->any_arguments || b->any_arguments || strcmp(a->arguments, b->arguments) == 0);
}

/* All that this rule has let through to the parent still goes there. */
static bool route_kept(const struct config_route *route, const struct config_start *now)
{
    for (unsigned i = 0; i < now->routes; i++) {
        if (routes_overlap(&now->route[i], route) && !now->route[i].to_parent)
            return false;
        if (config_route_covers(&now->route[i], route))
            return true;
    }
    return false;
}

static bool start_same(const struct config_start *old, const char *old_text, const struct config_start *now,
                       const char *text)
{
    if (memcmp(old, now, offsetof(struct config_start, restart)) != 0 ||
        old->config_bytes != now->config_bytes ||
        (now->config_bytes != 0 &&
         memcmp(old_text + old->config_at, text + now->config_at, now->config_bytes) != 0))
        return false;
    for (unsigned i = 0; i < old->routes; i++)
        if (old->route[i].to_parent && !route_kept(&old->route[i], now))
            return false;
    return true;
}

void init_change(struct init *init, const struct init_config *config, const char *text)
{
    const struct init_config *old = init->config;
    bool same[CONFIG_STARTS];
    for (unsigned i = 0; i < CONFIG_STARTS; i++) {
        same[i] = start_same(&old->start[i], init->text, &config->start[i], text);
        if (!same[i])
            child_stop(init, i, DEADLINE_NEVER);
    }
    init->config = config;
    init->text = text;
    for (unsigned i = 0; i < CONFIG_STARTS; i++) {
        if (same[i] || config->start[i].name[0] == '\0')
            continue;
        init->child[i] = (struct child){.generation = init->child[i].generation, .state = CHILD_STOPPED};
        if (old->start[i].name[0] != '\0')
            init->child[i].restart_at = tsc_read() + init->tsc_hz / 1000 * GONE_MILLISECONDS;
    }
    sessions_check(init);
    creator_signal(INIT_CAP_WORK);
}
