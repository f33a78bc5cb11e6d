# SPDX-License-Identifier: ISC
"""The disk of the small machine: GRUB, Debian's kernel and a busybox system on ext4, as a raw image, without loop devices and
without root. Used by tools/guest."""

import os
import re
import shutil
import struct
import subprocess
import tarfile

SECTOR = 512
DISK_SECTORS = 90 << 11
PARTITION = 2048  # its first sector: GRUB's core lies before it
CODE = 440        # bytes of a boot record that are program
GRUB = "/usr/lib/grub/i386-pc"
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "echo", "test", "configfile", "reboot", "halt")
# What the kernel needs to find its disk, behind either controller, and to read it.
KERNEL_MODULES = ("ata_piix", "ahci", "sd_mod", "crc32c_generic", "ext4")

GRUB_CONFIG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
# The menu is there for who presses ESC.
set timeout=1
set timeout_style=hidden
set default=0
menuentry 'Debian, small' {
    linux /boot/vmlinuz root=/dev/sda1 console=ttyS0 quiet
    initrd /boot/initrd
}
"""

# The initramfs: the modules in their order, then the disk's own system.
INIT = """\
#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module" || echo "small: $module cannot be loaded"
done </modules/order
for wait in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/sda1 ] && break
    sleep 0.5
done
mount -t ext4 /dev/sda1 /root || { echo "small: no disk"; exec sh; }
mount --move /dev /root/dev
umount /sys /proc
exec switch_root /root /init
"""


def modules_of(package, wanted):
    """The files of these kernel modules and of all that they need, in the order of loading: [(name, contents)]."""
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for entry in archive:
                if entry.isfile() and entry.name.endswith(".ko") and re.search(r"/kernel/(drivers/(ata|scsi|cdrom)|fs|lib|crypto|block)/", entry.name):
                    found[os.path.basename(entry.name)[:-3].replace("-", "_")] = archive.extractfile(entry).read()
    order = []

    def add(name):
        if any(name == other for other, _ in order):
            return
        if name not in found:
            raise FileNotFoundError(f"{os.path.basename(package)}: no kernel module {name}")
        needed = re.search(rb"\0depends=([^\0]*)\0", found[name])
        for other in filter(None, needed.group(1).decode().split(",") if needed else []):
            add(other.replace("-", "_"))
        order.append((name, found[name]))

    for name in wanted:
        add(name)
    return order


def step(*arguments):
    result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        last = result.stdout.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word why"]
        raise OSError(f"{os.path.basename(arguments[0])}: {last[0]}")


def system(folder, files, busybox, applets):
    """The root file system's folder: files {path: contents}, busybox and its applets."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "boot/grub", "dev", "etc", "proc", "root", "sys", "tmp"):
        os.makedirs(os.path.join(folder, name))
    for path, data in {**files, "bin/busybox": busybox, "boot/grub/grub.cfg": GRUB_CONFIG.encode()}.items():
        with open(os.path.join(folder, path), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(folder, path), 0o755 if path.startswith(("bin/", "init")) else 0o644)
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", os.path.join(folder, "bin", applet))


def make(path, folder):
    """The whole disk: boot record, GRUB's core, and a partition with what is in the folder."""
    core, partition = path + ".core", path + ".ext4"
    step("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core, *GRUB_MODULES)
    with open(core, "rb") as file:
        loader = file.read()
    if len(loader) > (PARTITION - 1) * SECTOR:
        raise OSError(f"GRUB's core has {len(loader)} bytes: expected at most {(PARTITION - 1) * SECTOR}")
    sectors = DISK_SECTORS - PARTITION
    with open(partition, "wb") as file:
        file.truncate(sectors * SECTOR)
    step("/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", "small", "-O", "^metadata_csum,^64bit", "-U", "5a000000-0000-4000-8000-00000000d15c",
         "-E", "root_owner=0:0,lazy_itable_init=0", "-d", folder, partition)
    with open(os.path.join(GRUB, "boot.img"), "rb") as file:
        record = bytearray(file.read()[:CODE].ljust(SECTOR, b"\0"))
    # One primary partition of Linux's kind, active; LBA alone counts.
    record[446:462] = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", PARTITION, sectors)
    record[440:444] = b"DJSM"
    record[510:512] = b"\x55\xaa"
    with open(path, "wb") as file:
        file.write(record + loader)
        file.truncate(PARTITION * SECTOR)
        file.seek(PARTITION * SECTOR)
        with open(partition, "rb") as source:
            for block in iter(lambda: source.read(1 << 20), b""):
                file.seek(len(block), 1) if not block.strip(b"\0") else file.write(block)
        file.truncate(DISK_SECTORS * SECTOR)
    os.remove(core)
    os.remove(partition)
