/* SPDX-License-Identifier: ISC */
/*
 * The configuration's elements:
 *
 *   <donjon>
 *     <module name="uart16550" file="uart16550.elf"/>          what boots; init checks that it is there
 *     <run memory="1024" terminals="2" failures="expected"/>   for tools/run only
 *     <start name="uart" binary="uart16550" ram="1M" kernel="64" priority="40" cpus="0,2-3" restart="yes">
 *       <provides service="Terminal"/>
 *       <route>
 *         <service name="LOG"><core/></service>                any label, any arguments
 *         <service name="IO_PORT" label="0x2f8" arguments="8"><core/></service>
 *         <service name="Terminal" label="console"><child name="other"/></service>
 *         <service name="Block" label="root"><child name="part" label="2"/></service>   "2" is what part sees
 *       </route>
 *       <config> ... </config>                               the component's own, not read here
 *     </start>
 *     <report milliseconds="1000"/>                            their state, as a Report "state" by init's parent
 *   </donjon>
 *
 * ram: bytes, K, M, G, or "rest" (once): what is left. kernel: pages of kernel memory, 64 by default.
 * cpus: where further threads of it may be, "0" by default; "all" are those of the machine. Of a list, what the machine
 * lacks is left out. The main thread is on CPU 0.
 * children: how many components there may be below it, if it is an init itself; 0 by default. Its <config> then
 * has its components, as <donjon> does here. <parent/>, another word for <core/>, leads to this init: the routes
 * of its <start> decide by labels like "CHILD -> LABEL".
 * restart: it is started again after a failure; "always": also after it has ended well. essential: when it
 * has ended well, the machine is powered off.
 */
#include "init/config.h"

#include "abi/syscall.h"
#include "base/include/caps.h"

#include <string.h>

#define PAGE_SIZE      4096u
#define RAM_MAXIMUM    (UINT64_C(1) << 46)
#define KERNEL_DEFAULT 64u
#define KERNEL_MAXIMUM (1u << 20)

static const char *const module_attributes[] = {"name!", "file!", NULL};
static const char *const report_attributes[] = {"milliseconds!", NULL};
static const char *const run_attributes[] = {"memory", "append", "terminals", "disks", "failures", NULL};
static const char *const start_attributes[] = {"name!", "binary!",  "ram!",    "kernel",    "priority",
                                               "cpus",  "children", "restart", "essential", NULL};
static const char *const provides_attributes[] = {"service!", NULL};
static const char *const service_attributes[] = {"name!", "label", "arguments", NULL};
static const char *const child_attributes[] = {"name!", "label", NULL};
static const char *const restart_words[] = {"no", "yes", "always", NULL};

static const struct xml_schema core_schema = {.name = "core"};
static const struct xml_schema parent_schema = {.name = "parent"};
static const struct xml_schema child_schema = {.name = "child", .attributes = child_attributes};
static const struct xml_child_rule service_children[] = {
    {&core_schema, 0, 1}, {&parent_schema, 0, 1}, {&child_schema, 0, 1}, {NULL, 0, 0}};
static const struct xml_schema service_schema = {
    .name = "service", .attributes = service_attributes, .children = service_children};
static const struct xml_child_rule route_children[] = {{&service_schema, 0, CONFIG_ROUTES}, {NULL, 0, 0}};
static const struct xml_schema route_schema = {.name = "route", .children = route_children};
static const struct xml_schema provides_schema = {.name = "provides", .attributes = provides_attributes};
static const struct xml_schema config_schema = {.name = "config", .opaque = true};
static const struct xml_child_rule start_children[] = {
    {&provides_schema, 0, CONFIG_PROVIDES}, {&route_schema, 0, 1}, {&config_schema, 0, 1}, {NULL, 0, 0}};
static const struct xml_schema start_schema = {
    .name = "start", .attributes = start_attributes, .children = start_children};
static const struct xml_schema report_schema = {.name = "report", .attributes = report_attributes};
static const struct xml_schema module_schema = {.name = "module", .attributes = module_attributes};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};

/* Copies an attribute that is there or has a fallback into a field of `size` bytes. */
static bool config_string(const struct xml_node *node, const char *name, char *field, size_t size,
                          struct xml_error *error)
{
    const char *value = xml_get_string_or(node, name, "");
    size_t length = strlen(value);
    if (length >= size)
        return xml_fail(error, node->line, "attribute %=\"%\" is too long", name, value);
    for (size_t i = 0; i < length; i++)
        if (value[i] < ' ' || value[i] > '~')
            return xml_fail(error, node->line, "attribute %=\"%\": expected printable ASCII", name, value);
    memcpy(field, value, length + 1);
    return true;
}

/* The same for names, which must not be empty and hold no white space. */
static bool config_name(const struct xml_node *node, const char *name, char *field, size_t size,
                        struct xml_error *error)
{
    if (!config_string(node, name, field, size, error))
        return false;
    bool good = field[0] != '\0';
    for (const char *other = " \"&'<>"; *other != '\0'; other++) /* reports hold names as they are */
        good &= memchr(field, *other, strlen(field)) == NULL;
    return good || xml_fail(error, node->line, "attribute %=\"%\" is no name", name, field);
}

static bool config_route_read(const struct xml_node *node, struct config_route *route,
                              struct xml_error *error)
{
    const struct xml_node *core = xml_child(node, "core"), *child = xml_child(node, "child");
    core = core != NULL ? core : xml_child(node, "parent");
    if (!config_name(node, "name", route->service, sizeof route->service, error) ||
        !config_string(node, "label", route->label, sizeof route->label, error) ||
        !config_string(node, "arguments", route->arguments, sizeof route->arguments, error))
        return false;
    if ((core != NULL) == (child != NULL))
        return xml_fail(error, node->line, "service %: expected <core/>, <parent/> or <child name=.../>",
                        route->service);
    route->any_label = xml_attribute(node, "label") == NULL;
    route->any_arguments = xml_attribute(node, "arguments") == NULL;
    route->to_parent = core != NULL;
    route->line = node->line;
    return core != NULL ||
           (config_name(child, "name", route->child, sizeof route->child, error) &&
            config_string(child, "label", route->child_label, sizeof route->child_label, error));
}

static bool config_ram(const struct xml_node *node, struct config_start *start, struct xml_error *error)
{
    static const struct xml_range range = {.min = PAGE_SIZE, .max = RAM_MAXIMUM, .size = true};
    if (strcmp(xml_get_string_or(node, "ram", ""), "rest") == 0) {
        start->ram = CONFIG_RAM_REST;
        return true;
    }
    if (!xml_get_unsigned(node, "ram", &range, &start->ram, error))
        return false;
    start->ram = (start->ram + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    return true;
}

static bool cpu_read(const char **at, unsigned *cpu)
{
    const char *first = *at;
    for (*cpu = 0; **at >= '0' && **at <= '9' && *cpu < CPUS_MAX; ++*at)
        *cpu = *cpu * 10 + (unsigned)(**at - '0');
    return *at != first && *cpu < CPUS_MAX;
}

static bool config_cpus(const struct xml_node *node, struct config_start *start, struct xml_error *error)
{
    const char *list = xml_get_string_or(node, "cpus", "0"), *at = list;
    unsigned first, last;
    start->cpus = UINT64_MAX;
    if (strcmp(list, "all") == 0)
        return true;
    start->cpus = 0;
    do {
        bool good = cpu_read(&at, &first);
        last = first;
        if (good && *at == '-') {
            at++;
            good = cpu_read(&at, &last);
        }
        if (!good || last < first || (*at != ',' && *at != '\0'))
            return xml_fail(error, node->line, "attribute cpus=\"%\": expected all, or CPUs as in 0,2-3",
                            list);
        start->cpus |= UINT64_MAX >> (CPUS_MAX - 1 - (last - first)) << first;
    } while (*at++ == ',');
    return true;
}

static bool config_provides(const struct config_start *start, const char *service)
{
    for (unsigned i = 0; i < start->provides; i++)
        if (strcmp(start->service[i], service) == 0)
            return true;
    return false;
}

static bool config_start_read(const struct xml_node *node, struct config_start *start,
                              struct xml_error *error)
{
    static const struct xml_range kernel = {.min = 1, .max = KERNEL_MAXIMUM};
    static const struct xml_range priorities = {.min = 0, .max = CONFIG_PRIORITY_MAX};
    static const struct xml_range below = {.min = 0, .max = CONFIG_CHILDREN_MAX};
    uint64_t priority = 0, children = 0;
    unsigned restart = RESTART_NEVER;
    if (!config_name(node, "name", start->name, sizeof start->name, error) ||
        !config_name(node, "binary", start->binary, sizeof start->binary, error) ||
        !config_ram(node, start, error) ||
        !xml_get_unsigned_or(node, "kernel", &kernel, KERNEL_DEFAULT, &start->kernel, error) ||
        !xml_get_unsigned_or(node, "priority", &priorities, CONFIG_PRIORITY, &priority, error) ||
        !config_cpus(node, start, error) ||
        !xml_get_unsigned_or(node, "children", &below, 0, &children, error) ||
        !xml_get_choice_or(node, "restart", restart_words, RESTART_NEVER, &restart, error) ||
        !xml_get_bool_or(node, "essential", false, &start->essential, error))
        return false;
    start->priority = (unsigned)priority;
    start->children = (unsigned)children;
    start->restart = (enum config_restart)restart;
    start->line = node->line;
    for (const struct xml_node *n = xml_child(node, "provides"); n != NULL; n = xml_next(n, "provides")) {
        if (!config_name(n, "service", start->service[start->provides], SERVICE_SIZE, error))
            return false;
        if (config_provides(start, start->service[start->provides]))
            return xml_fail(error, n->line, "service % is provided twice", start->service[start->provides]);
        start->provides++;
    }
    const struct xml_node *route = xml_child(node, "route");
    for (const struct xml_node *n = route != NULL ? xml_child(route, "service") : NULL; n != NULL;
         n = xml_next(n, "service")) {
        if (!config_route_read(n, &start->route[start->routes], error))
            return false;
        start->routes++;
    }
    const struct xml_node *config = xml_child(node, "config");
    if (config != NULL) {
        start->config_at = config->start;
        start->config_bytes = config->end - config->start;
        start->config_line = config->line;
    }
    return true;
}

bool config_find(const struct init_config *config, const char *name, unsigned *index)
{
    for (*index = 0; *index < config->starts; (*index)++)
        if (strcmp(config->start[*index].name, name) == 0)
            return true;
    return false;
}

bool config_route_covers(const struct config_route *first, const struct config_route *second)
{
    return strcmp(first->service, second->service) == 0 &&
           (first->any_label || (!second->any_label && strcmp(first->label, second->label) == 0)) &&
           (first->any_arguments ||
            (!second->any_arguments && strcmp(first->arguments, second->arguments) == 0));
}

/* A rule that an earlier one leaves nothing to is a mistake: the request that it was written for goes
 * elsewhere. */
static bool config_route_hidden(const struct config_start *start, const struct config_route *route)
{
    for (const struct config_route *r = start->route; r < route; r++)
        if (config_route_covers(r, route))
            return true;
    return false;
}

/* Names are unique, at most one takes the rest of the RAM, and every route leads to one that provides the
 * service. */
static bool config_check(struct init_config *config, struct xml_error *error)
{
    const struct config_start *rest = NULL;
    for (unsigned i = 0; i < config->starts; i++) {
        struct config_start *start = &config->start[i];
        if (start->ram == CONFIG_RAM_REST && rest != NULL)
            return xml_fail(error, start->line, "'%': ram=\"rest\" is taken by '%'", start->name, rest->name);
        rest = start->ram == CONFIG_RAM_REST ? start : rest;
        for (unsigned j = 0; j < start->routes; j++) {
            struct config_route *route = &start->route[j];
            if (config_route_hidden(start, route))
                return xml_fail(error, route->line, "route of service %: a rule before it takes all of it",
                                route->service);
            if (route->to_parent)
                continue;
            if (!config_find(config, route->child, &route->child_index)) {
                return xml_fail(error, route->line, "route of service % leads to '%', which is not started",
                                route->service, route->child);
            }
            if (!config_provides(&config->start[route->child_index], route->service)) {
                return xml_fail(error, route->line,
                                "route of service % leads to '%', which does not provide it", route->service,
                                route->child);
            }
        }
    }
    return true;
}

/* The place of a new component: the old one's of that name, else one that neither configuration uses yet. False:
 * there is none, or it is taken. */
static bool config_place(const struct xml_node *node, const struct init_config *old,
                         struct init_config *config, unsigned *place, struct xml_error *error)
{
    const char *name = xml_get_string_or(node, "name", "");
    if (config_find(config, name, place))
        return xml_fail(error, node->line, "a second component is called '%'", name);
    if (old == NULL || !config_find(old, name, place))
        for (*place = 0; *place < CONFIG_STARTS; ++*place)
            if (config->start[*place].name[0] == '\0' && (old == NULL || old->start[*place].name[0] == '\0'))
                break;
    if (*place == CONFIG_STARTS)
        return xml_fail(error, node->line, "too many components, with those that are to end");
    config->starts = *place < config->starts ? config->starts : *place + 1;
    return true;
}

bool init_config_read(char *text, size_t bytes, struct config_scratch *scratch,
                      const struct config_more *more, const struct init_config *old,
                      struct init_config *config, struct xml_error *error)
{
    const struct xml_child_rule children[] = {
        {&module_schema, 0, CONFIG_MODULES},        {&run_schema, 0, 1},
        {&start_schema, 0, CONFIG_STARTS},          {&report_schema, 0, 1},
        {more != NULL ? more->schema : NULL, 0, 1}, {NULL, 0, 0}};
    struct xml_schema schema = {.name = "donjon", .children = children};
    struct xml_document document = {
        .nodes = scratch->nodes,
        .attributes = scratch->attributes,
        .node_limit = CONFIG_NODES,
        .attribute_limit = CONFIG_ATTRIBUTES,
    };
    memset(config, 0, sizeof *config);
    if (!xml_parse(&document, text, bytes, error))
        return false;
    if (strcmp(document.root->name, "config") == 0)
        schema.name = "config"; /* of an init within another */
    if (!xml_check(document.root, &schema, error))
        return false;
    const struct xml_node *node;
    for (node = xml_child(document.root, "module"); node != NULL; node = xml_next(node, "module")) {
        if (!config_name(node, "name", config->module[config->modules], CONFIG_NAME_SIZE, error))
            return false;
        for (unsigned i = 0; i < config->modules; i++)
            if (strcmp(config->module[i], config->module[config->modules]) == 0)
                return xml_fail(error, node->line, "a second module is called '%'", config->module[i]);
        config->module_line[config->modules++] = node->line;
    }
    for (node = xml_child(document.root, "start"); node != NULL; node = xml_next(node, "start")) {
        unsigned place;
        if (!config_place(node, old, config, &place, error) ||
            !config_start_read(node, &config->start[place], error))
            return false;
    }
    static const struct xml_range milliseconds = {.min = 10, .max = 3600000};
    node = xml_child(document.root, "report");
    if (node != NULL && !xml_get_unsigned(node, "milliseconds", &milliseconds, &config->report, error))
        return false;
    if (!config_check(config, error))
        return false;
    node = more != NULL ? xml_child(document.root, more->schema->name) : NULL;
    return node == NULL || more->read(node, config, error);
}
