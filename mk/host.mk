# SPDX-License-Identifier: ISC
#
# What runs on the build machine: every *_test.c is a cmocka program of its own, under the address and undefined-behaviour
# sanitizers. It is linked with libhost.a, which holds the libraries, and with an archive of those sources of its own part
# (kernel, init, vmm, ...) that have a test beside them: whatever has one needs no kernel beneath it. Device models, drivers and
# servers are taken whole, but for main.c. The archives are apart because parts may use the same names. Fuzzers are built the same way with clang and
# libFuzzer. What is linked also depends on the folders of its sources: one that was deleted must not live on in it.

# Sources of the parts that have no test of their own but are needed by one.
HOST_EXTRA := init/route.c $(filter-out core/main.c %_test.c %_fuzz.c,$(wildcard core/*.c))

# Core calls the kernel and reads boot information: its tests have a model of both. It uses some of base.
HOST_CORE := $(wildcard tests/core/*.c) base/error.c base/message.c

# The readers of configurations share this.
HOST_CONFIG := base/config_parse.c

# Folders whose tests and fuzzers are built; to be narrowed on the command line: HOST_DIRS=lib/xml. What they are linked with is
# the same then.
HOST_ALL := lib vmm kernel base core init drivers servers
HOST_DIRS ?= $(HOST_ALL)
HOST_MODEL_DIRS := vmm/board vmm/bus vmm/cpu vmm/device vmm/firmware vmm/kvm
FUZZ_TIME ?= 30

HOST := $(BUILD)/host
FUZZ := $(BUILD)/fuzz
HOST_FLAGS := -std=gnu17 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	$(WARNINGS) -I. -MMD -MP
# cmocka.h needs these before it, and sorted includes do not keep them there.
TEST_FLAGS := -include stdarg.h -include stddef.h -include setjmp.h -include stdint.h
FUZZ_FLAGS := -std=gnu17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $(WARNINGS) -I. -MMD -MP

HOST_LIB_SOURCES := $(call no_tests,$(call sources,lib,c))
HOST_TEST_SOURCES := $(filter %_test.c,$(call sources,$(HOST_DIRS),c))
HOST_FUZZ_SOURCES := $(filter %_fuzz.c,$(call sources,$(HOST_DIRS),c))
HOST_PART_SOURCES := $(filter-out lib/%,$(wildcard $(HOST_EXTRA) $(call no_tests,$(call sources,$(HOST_MODEL_DIRS),c)) \
	$(filter-out %/main.c,$(call no_tests,$(call sources,drivers servers,c))) \
	$(patsubst %_test.c,%.c,$(filter %_test.c,$(call sources,$(HOST_ALL),c))) \
	$(patsubst %_fuzz.c,%.c,$(filter %_fuzz.c,$(call sources,$(HOST_ALL),c)))))
HOST_SOURCES := $(HOST_LIB_SOURCES) $(HOST_PART_SOURCES)
HOST_TESTS := $(HOST_TEST_SOURCES:%.c=$(HOST)/tests/%)
HOST_FUZZERS := $(HOST_FUZZ_SOURCES:%.c=$(FUZZ)/%)
HOST_PARTS := lib $(filter-out lib,$(patsubst %/,%,$(wildcard kernel/ base/ core/ init/ vmm/ drivers/*/ servers/*/)))

.PHONY: host-tests host-tools list-host-tests fuzzers fuzz

host-tests: $(HOST_TESTS)

list-host-tests:
	@printf '%s\n' $(HOST_TESTS)

$(HOST)/obj/%.o: %.c Makefile mk/host.mk
	$(call say,HOST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(filter core/% tests/core/%,$<),-Itests/core/include) $(HOST_FLAGS) \
	    $(if $(filter %_test.c tests/%,$<),$(TEST_FLAGS)) -c $< -o $@

$(FUZZ)/obj/%.o: %.c Makefile mk/host.mk
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

$(HOST)/libhost.a: $(HOST_LIB_SOURCES:%.c=$(HOST)/obj/%.o) $(sort $(dir $(HOST_LIB_SOURCES)))
$(FUZZ)/libhost.a: $(HOST_LIB_SOURCES:%.c=$(FUZZ)/obj/%.o) $(sort $(dir $(HOST_LIB_SOURCES)))

archive = @rm -f $@ && mkdir -p $(@D) && ar rcs $@ $(filter %.o,$^)

$(HOST)/%.a:
	$(archive)

$(FUZZ)/%.a:
	$(archive)

# $(call part,PART): the archives of a part and what is linked with them.
define part
$(HOST)/parts/$(1).a $(FUZZ)/parts/$(1).a: $(sort $(dir $(filter $(1)/%,$(HOST_PART_SOURCES))))
$(HOST)/parts/$(1).a: $(patsubst %.c,$(HOST)/obj/%.o,$(filter $(1)/%,$(HOST_PART_SOURCES)) $(if $(filter core,$(1)),$(HOST_CORE)) \
	$(if $(filter drivers/% servers/%,$(1)),$(HOST_CONFIG)))
$(FUZZ)/parts/$(1).a: $(patsubst %.c,$(FUZZ)/obj/%.o,$(filter $(1)/%,$(HOST_PART_SOURCES)))
$(filter $(HOST)/tests/$(1)/%,$(HOST_TESTS)): $(HOST)/tests/%: $(HOST)/obj/%.o $(HOST)/parts/$(1).a $(HOST)/libhost.a
	$$(call say,TEST,$$*)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -fsanitize=address,undefined -o $$@ $$(filter %.o %.a,$$^) -lcmocka
$(filter $(FUZZ)/$(1)/%,$(HOST_FUZZERS)): $(FUZZ)/%: $(FUZZ)/obj/%.o $(FUZZ)/parts/$(1).a $(FUZZ)/libhost.a
	@mkdir -p $$(@D)
	$$(Q)clang -fsanitize=fuzzer,address,undefined -o $$@ $$(filter %.o %.a,$$^)
endef
$(foreach p,$(HOST_PARTS),$(eval $(call part,$(p))))

# Programs for people that use the libraries: one for each folder in tools/host.
HOST_TOOLS := $(patsubst tools/host/%/,$(HOST)/tools/%,$(wildcard tools/host/*/))

host-tools: $(HOST_TOOLS)

# $(call tool,NAME): how it is linked.
define tool
$(HOST)/tools/$(1): $(patsubst %.c,$(HOST)/obj/%.o,$(wildcard tools/host/$(1)/*.c)) $(HOST)/libhost.a tools/host/$(1)
	$$(call say,TOOL,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -fsanitize=address,undefined -o $$@ $$(filter %.o %.a,$$^)
-include $(patsubst %.c,$(HOST)/obj/%.d,$(wildcard tools/host/$(1)/*.c))
endef
$(foreach t,$(notdir $(HOST_TOOLS)),$(eval $(call tool,$(t))))

fuzzers: $(HOST_FUZZERS)

# A corpus beside the fuzzer (foo_fuzz.c -> foo_corpus/) is read, what is found goes below $(BUILD).
fuzz: fuzzers
	$(Q)for f in $(HOST_FUZZ_SOURCES:%.c=%); do \
	    echo "  RUN   $$f ($(FUZZ_TIME) s)"; mkdir -p $(FUZZ)/corpus/$$f; \
	    seed=$${f%_fuzz}_corpus; test -d $$seed || seed=; \
	    $(FUZZ)/$$f -max_total_time=$(FUZZ_TIME) -verbosity=0 -print_final_stats=0 \
	        -artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus/$$f $$seed || exit 1; \
	done

# tools/check's program: the readers of scenarios, without sanitizers, as a user waits for it.
CHECK_SOURCES := tools/check.c base/config_parse.c init/config.c init/route.c tests/init/config.c lib/elf/elf.c lib/format/format.c $(wildcard drivers/*/config.c) \
	servers/vdi/config.c servers/report_rom/config.c lib/block/driver_config.c \
	vmm/config/config.c vmm/test/builtin.c vmm/test/builtin.S vmm/bus/ram.c vmm/firmware/e820.c \
	vmm/firmware/linux.c vmm/firmware/load.c vmm/firmware/multiboot.c $(call no_tests,$(call sources,lib/xml,c))
CHECK_OBJECTS := $(patsubst %,$(HOST)/check.obj/%.o,$(CHECK_SOURCES))

.PHONY: check

check: $(HOST)/check

$(HOST)/check.obj/%.o: % Makefile mk/host.mk
	$(call say,HOST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -g -O1 $(WARNINGS) -I. -MMD -MP $(if $(filter %.S,$<),$(ASSEMBLER)) -c $< -o $@

$(HOST)/check: $(CHECK_OBJECTS)
	$(call say,HOST,$@)
	$(Q)$(CC) -no-pie -o $@ $(CHECK_OBJECTS)

-include $(CHECK_OBJECTS:.o=.d)
-include $(HOST_CORE:%.c=$(HOST)/obj/%.d)
-include $(HOST_SOURCES:%.c=$(HOST)/obj/%.d) $(HOST_TEST_SOURCES:%.c=$(HOST)/obj/%.d)
-include $(HOST_SOURCES:%.c=$(FUZZ)/obj/%.d) $(HOST_FUZZ_SOURCES:%.c=$(FUZZ)/obj/%.d)
