# SPDX-License-Identifier: ISC
#
# What runs on the machine: the kernel, and one ELF program for each folder that is a component. A component is linked
# from all sources below its folder, the runtime (base) and the libraries (lib), of which only the parts it reaches are
# taken. The kernel shares no object with user level: its code model differs. What is linked also depends on the folders
# of its sources: one that was deleted must not live on in it.

TARGET := $(BUILD)/target
KERNEL := $(BUILD)/kernel

# The compiler's own freestanding headers. Asked late: there may be no compiler yet when make only installs one.
CC_INCLUDE = $(eval CC_INCLUDE := $$(wildcard $$(shell $(CC) -print-file-name=include) \
	$$(if $$(findstring clang,$$(CC)),$$(shell $(CC) -print-resource-dir)/include)))$(CC_INCLUDE)

# gcc's <limits.h> looks for a C library's unless it is told (_LIBC_LIMITS_H_) that it was read from one.
FREESTANDING := -std=gnu17 -O2 -g -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -fno-stack-protector \
	-fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none -ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)/= -nostdinc -D_LIBC_LIMITS_H_
TARGET_FLAGS = $(FREESTANDING) $(addprefix -isystem ,$(CC_INCLUDE)) -isystem base/libc -I. $(WARNINGS) -MMD -MP
KERNEL_FLAGS = $(FREESTANDING) -mcmodel=kernel -mno-red-zone $(addprefix -isystem ,$(CC_INCLUDE)) -isystem base/libc -I. \
	$(WARNINGS) \
	-MMD -MP
ASSEMBLER := -Wa,--noexecstack -D__ASSEMBLER__
LINK := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,--fatal-warnings

# foo.c becomes foo.o and foo.S foo.S.o: the two may stand side by side.
objects = $(patsubst %,$(1)/obj/%.o,$(patsubst %.c,%,$(2)))
target_objects = $(call objects,$(TARGET),$(1))

BASE_OBJECTS := $(call target_objects,$(call no_tests,$(call sources,base,c)) $(call sources,base,S))
LIB_OBJECTS := $(call target_objects,$(call no_tests,$(call sources,lib,c)) $(call sources,lib,S))
BASE_FOLDERS := $(sort $(dir $(call sources,base,c)))
LIB_FOLDERS := $(sort $(dir $(call sources,lib,c)))
KERNEL_SOURCES := $(call no_tests,$(call sources,kernel base/libc lib/elf lib/format,c)) $(call sources,kernel,S)
KERNEL_OBJECTS := $(call objects,$(KERNEL),$(KERNEL_SOURCES))

# A folder without main.c is no component yet.
component_sources = $(call no_tests,$(call sources,$(1),c)) $(call sources,$(1),S)
COMPONENT_DIRS := $(foreach d,$(patsubst %/,%,$(wildcard core/ init/ vmm/ drivers/*/ servers/*/ examples/*/ tests/components/*/)),\
	$(if $(wildcard $(d)/main.c),$(d)))
# Tests that take core's, init's or a driver's place: name=folders and files.
comma := ,
empty :=
space := $(empty) $(empty)
ROOT_TESTS := ktest=tests/kernel,kernel/guest_state.c bench=tests/bench,tests/kernel/support \
	rogue=tests/rogue,$(subst $(space),$(comma),$(call no_tests,$(filter-out drivers/nvme/main.c,$(wildcard drivers/nvme/*.c)))) \
	init-test=tests/init,servers/info/free.c,$(subst $(space),$(comma),$(call no_tests,$(filter-out init/main.c,$(wildcard init/*.c))))
COMPONENTS := $(foreach d,$(COMPONENT_DIRS),$(TARGET)/$(notdir $(d)).elf) \
	$(foreach t,$(ROOT_TESTS),$(TARGET)/$(firstword $(subst =, ,$(t))).elf)

.PHONY: kernel components guests

kernel: $(if $(strip $(KERNEL_OBJECTS)),$(KERNEL)/kernel.elf $(KERNEL)/kernel.mb1)

components: $(COMPONENTS) guests

$(TARGET)/obj/%.o: %.c Makefile mk/target.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -c $< -o $@

$(TARGET)/obj/%.S.o: %.S Makefile mk/target.mk
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) $(ASSEMBLER) -c $< -o $@

$(TARGET)/libbase.a: $(BASE_OBJECTS) $(BASE_FOLDERS)
	@rm -f $@ && mkdir -p $(@D)
	$(Q)ar rcs $@ $(BASE_OBJECTS)

$(TARGET)/libs.a: $(LIB_OBJECTS) $(LIB_FOLDERS)
	@rm -f $@ && mkdir -p $(@D)
	$(Q)ar rcs $@ $(LIB_OBJECTS)

# $(call component,DIRS,NAME): how the program of these folders is linked. The runtime calls the program and the libraries call the runtime's
# string functions, hence the group.
define component
$(TARGET)/$(2).elf: $(call target_objects,$(call component_sources,$(1))) $(TARGET)/libbase.a $(TARGET)/libs.a \
		base/component.ld $(sort $(dir $(call component_sources,$(1))))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LINK) -Wl,--gc-sections -Wl,-T,base/component.ld -Wl,-Map,$$(basename $$@).map -o $$@ $$(filter %.o,$$^) \
	    -Wl,--start-group $(TARGET)/libbase.a $(TARGET)/libs.a -Wl,--end-group
-include $(patsubst %.o,%.d,$(call target_objects,$(call component_sources,$(1))))
endef
$(foreach d,$(COMPONENT_DIRS),$(eval $(call component,$(d),$(notdir $(d)))))
$(foreach t,$(ROOT_TESTS),$(eval $(call component,$(subst $(comma), ,$(lastword $(subst =, ,$(t)))),$(firstword $(subst =, ,$(t))))))

$(KERNEL)/obj/%.o: %.c Makefile mk/target.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_FLAGS) -c $< -o $@

$(KERNEL)/obj/%.S.o: %.S Makefile mk/target.mk
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_FLAGS) $(ASSEMBLER) -c $< -o $@

# Nothing is collected here: no code refers to the headers that boot loaders look for.
$(KERNEL)/kernel.elf: $(KERNEL_OBJECTS) kernel/kernel.ld $(sort $(dir $(KERNEL_SOURCES)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK) -Wl,-T,kernel/kernel.ld -Wl,-Map,$(basename $@).map -o $@ $(KERNEL_OBJECTS)

# QEMU's loader takes 32-bit ELF only; it loads by physical address, so the cut virtual ones do no harm.
$(KERNEL)/kernel.mb1: $(KERNEL)/kernel.elf
	$(call say,MB1,$@)
	$(Q)objcopy -g -O elf32-i386 $< $@

-include $(BASE_OBJECTS:.o=.d) $(LIB_OBJECTS:.o=.d) $(KERNEL_OBJECTS:.o=.d)

# Bare-metal guests (tests/guest): Multiboot programs without a system. tests/guest/body becomes guest-MODE.elf in each mode, a
# file tests/guest/hostile/MODE/NAME.c hostile-NAME.elf, those of tests/guest/hostile together hostile.elf, those of tests/guest/smp guest-smp.elf. Real mode's code must stay small. A 64-bit program is put into an
# ELF32 file at the end, as boot loaders want it.
GUEST_MODES := real protected pae long compat
GUEST_FLAGS_real := -m16 -DGUEST_MODE=1 -Os
GUEST_FLAGS_protected := -m32 -DGUEST_MODE=2
GUEST_FLAGS_pae := -m32 -DGUEST_MODE=3
GUEST_FLAGS_long := -m64 -mno-red-zone -DGUEST_MODE=4
GUEST_FLAGS_compat := -m32 -DGUEST_MODE=5
GUEST_GATES_real := real
GUEST_GATES_protected := 32
GUEST_GATES_pae := 32
GUEST_GATES_long := 64
GUEST_GATES_compat := 64
GUEST_USER_protected := tests/guest/mode/user_32.S
GUEST_USER_pae := tests/guest/mode/user_32.S
GUEST_USER_long := tests/guest/mode/user_64.S
GUEST_USER_compat := tests/guest/mode/user_32.S
GUEST_LD_real := real
GUEST_FOLDERS := tests/guest/body
GUEST_FOLDERS_real := $(GUEST_FOLDERS) tests/guest/body/legacy
GUEST_FOLDERS_protected := $(GUEST_FOLDERS) tests/guest/body/legacy tests/guest/body/paged
GUEST_FOLDERS_pae := $(GUEST_FOLDERS_protected)
GUEST_FOLDERS_long := $(GUEST_FOLDERS) tests/guest/body/paged tests/guest/body/long
GUEST_FOLDERS_compat := $(GUEST_FOLDERS_protected)
GUEST_HOSTILE := $(wildcard $(GUEST_MODES:%=tests/guest/hostile/%/*.c))
GUESTS := $(GUEST_MODES:%=$(TARGET)/guest-%.elf) $(foreach f,$(GUEST_HOSTILE),$(TARGET)/hostile-$(basename $(notdir $(f))).elf) \
	$(TARGET)/hostile.elf $(TARGET)/guest-smp.elf $(TARGET)/test-rom.bin $(TARGET)/test-disk.bin
GUEST_INCLUDES := $(wildcard tests/guest/mode/*.inc tests/guest/mode/*.h)

guests: $(GUESTS)

guest_objects = $(patsubst %,$(TARGET)/guest/$(1)/%.o,$(patsubst %.c,%,$(2) tests/guest/mode/$(1).S \
	tests/guest/mode/gates_$(GUEST_GATES_$(1)).c $(GUEST_USER_$(1)) $(call sources,tests/guest/support,c)))

# $(call guest,MODE,NAME,SOURCES)
define guest
$(TARGET)/$(2).elf: $(call guest_objects,$(1),$(3)) $(sort $(dir $(3))) tests/guest/mode/$(or $(GUEST_LD_$(1)),flat).ld
	$$(call say,GUEST,$$@)
	$$(Q)ld -m $(if $(filter long,$(1)),elf_x86_64,elf_i386) -static --build-id=none -z noexecstack -z max-page-size=4096 \
	    --no-warn-rwx-segments --gc-sections -T tests/guest/mode/$(or $(GUEST_LD_$(1)),flat).ld \
	    -Map $$(basename $$@).map -o $$@.debug $$(filter %.o,$$^)
	$$(Q)objcopy -g -O elf32-i386 $$@.debug $$@
-include $(patsubst %.o,%.d,$(call guest_objects,$(1),$(3)))
endef

define guest_mode
$(TARGET)/guest/$(1)/%.o: %.c Makefile mk/target.mk
	$$(call say,GUEST,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(TARGET_FLAGS) $(GUEST_FLAGS_$(1)) -c $$< -o $$@
$(TARGET)/guest/$(1)/%.S.o: %.S $(GUEST_INCLUDES) Makefile mk/target.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(TARGET_FLAGS) $(if $(filter long,$(1)),-m64,-m32) $(ASSEMBLER) -c $$< -o $$@
endef
# An option ROM of the tests.
$(TARGET)/test-rom.bin: tests/bios/rom.S tests/bios/checksum.py Makefile mk/target.mk
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib $(ASSEMBLER) -c $< -o $@.o
	$(Q)objcopy -O binary -j .text $@.o $@
	$(Q)/usr/bin/python3 tests/bios/checksum.py $@

# A disk that firmware boots from.
$(TARGET)/test-disk.bin: tests/bios/disk.S Makefile mk/target.mk
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib $(ASSEMBLER) -c $< -o $@.o
	$(Q)objcopy -O binary -j .text $@.o $@

$(foreach m,$(GUEST_MODES),$(eval $(call guest_mode,$(m)))$(eval $(call guest,$(m),guest-$(m),$(wildcard $(GUEST_FOLDERS_$(m):%=%/*.c)))))
$(foreach f,$(GUEST_HOSTILE),$(eval $(call guest,$(notdir $(patsubst %/,%,$(dir $(f)))),hostile-$(basename $(notdir $(f))),$(f))))
$(eval $(call guest,long,hostile,$(wildcard tests/guest/hostile/*.c)))
$(eval $(call guest,long,guest-smp,$(wildcard tests/guest/smp/*.c tests/guest/smp/*.S)))
