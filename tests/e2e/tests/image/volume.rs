//! The chain's volume, on loop devices: formatted when it is blank and only then, grown, and never mounted over anything.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use t0rn_agent_tests::{skip, wait};

use crate::baked::beside_the_image;

/// Why there are no loop devices here.
fn no_loop_devices() -> Option<String> {
    let mut probe = Command::new("losetup");
    match wait::run(10, probe.arg("--find")) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("losetup: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// The image as a running system, as far as the helper is concerned, and words for the tests below. Every helper runs in
/// the image itself; `disk` is a device of 64 MiB, its contents in `$file`.
const WORDS: &str = r#"
for folder in dev sys; do mount --rbind "/$folder" "$folder"; done
mount -t proc proc proc && mount -t tmpfs tmpfs run && mkdir -p var/lib/t0rn-collator
mkdir "$dir/disks"
ends() {
    umount "$dir/root/var/lib/t0rn-collator" 2>/dev/null || true
    for device in $(cat "$dir/loops" 2>/dev/null); do losetup --detach "$device"; done
}
trap ends EXIT
device() { file=$dir/disks/$1 && truncate --size 64M "$file" && disk=$(losetup --find --show "$file") && echo "$disk" >>"$dir/loops"; }
conf() { printf 'volume=%s\nwait=%s\n' "$1" "${2:-0}" >etc/t0rn-agent/chain-volume.conf; }
helper() { chroot . /usr/lib/t0rn-agent/chain-volume "$@"; }
mounted() { chroot . mount /run/t0rn-chain/device /var/lib/t0rn-collator; }
unmounted() { chroot . umount /var/lib/t0rn-collator; }
put() { dd of="$disk" bs=1 seek="$1" conv=notrunc,fsync status=none; }
sum() { sync "$disk"; sha256sum <"$file"; }
refused() { # refused WORDS: the helper refuses, in these words, and changes nothing
    local before; before=$(sum)
    if helper prepare 2>"$dir/said"; then echo "not refused: $1"; exit 1; fi
    grep -qF -- "$1" "$dir/said" || { echo "expected: $1"; cat "$dir/said"; exit 1; }
    cmp -s "$dir/said" run/t0rn-chain/refused || { echo "the reason is not kept"; exit 1; }
    [ ! -e run/t0rn-chain/device ] || { echo "it could be mounted"; exit 1; }
    [ "$before" = "$(sum)" ] || { echo "it was changed"; exit 1; }
}
"#;

fn ok(script: &str) -> Result<Output> {
    let output = beside_the_image(&format!("{WORDS}{script}"))?;
    ensure!(output.status.success(), "{output:?}");
    Ok(output)
}

macro_rules! devices_or_skip {
    () => {
        t0rn_agent_tests::machine_or_skip!();
        if let Some(reason) = no_loop_devices() {
            skip!(reason);
        }
    };
}

#[test]
fn a_blank_volume_is_formatted_once_for_the_collators_user() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device blank; conf "$disk"
        helper prepare; mounted
        [ "$(blkid -p -s LABEL -s TYPE -o value "$disk" | sort | paste -sd ' ')" = "ext4 t0rn-chain" ]
        [ "$(stat --format '%u:%g %a' var/lib/t0rn-collator)" = "1000:1000 750" ]
        echo block >var/lib/t0rn-collator/block
        helper prepare # While it is mounted, too.
        unmounted; before=$(sum)
        helper prepare; helper prepare
        [ "$before" = "$(sum)" ]
        mounted; [ "$(cat var/lib/t0rn-collator/block)" = block ]"#)?;
    Ok(())
}

#[test]
fn whatever_is_not_blank_and_no_chain_is_refused_and_stays_as_it_is() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device mbr; conf "$disk"
        printf '\0\0\2\0\203\0\0\0\0\010\0\0\0\0\1\0' | put 446; printf '\125\252' | put 510
        refused "is not blank: blkid finds"
        device gpt; conf "$disk"
        printf '\0\0\2\0\356\377\377\377\1\0\0\0\377\377\1\0' | put 446; printf '\125\252' | put 510; printf 'EFI PART' | put 512
        refused "is not blank"
        device swap; conf "$disk"; mkswap --quiet "$disk"
        refused "holds swap, which is no chain"
        device luks; conf "$disk"; printf 'LUKS\272\276\0\1' | put 0
        refused "holds crypto_LUKS"
        device zfs; conf "$disk"; for i in $(seq 128 159); do printf '\014\261\272\0\0\0\0\0' | put $((i * 1024)); done
        refused "holds zfs_member"
        device lvm; conf "$disk"
        python3 - "$disk" <<'END'
import sys, zlib
label = bytearray(512)
label[0:16], label[20], label[24:32] = b"LABELONE" + (1).to_bytes(8, "little"), 32, b"LVM2 001"
label[32:64] = b"0123456789abcdefghijklmnopqrstuv"
label[16:20] = (zlib.crc32(label[20:], 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "little")
with open(sys.argv[1], "r+b") as disk:
    disk.seek(512)
    disk.write(label)
END
        refused "holds LVM2_member"
        device text; conf "$disk"; printf 'a word that no tool knows' | put 5000000
        refused "it holds data of an unknown kind"
        device middle; conf "$disk"; printf 'somebody is here' | put 20971520
        refused "it holds data of an unknown kind"
        device beheaded; conf "$disk"; chroot . mkfs.ext4 -q "$disk"; fallocate --punch-hole --offset 0 --length 16M "$file"
        refused "it holds data of an unknown kind"
        device end; conf "$disk"; printf 'a copy of something at the end' | put 67107000
        refused "it holds data of an unknown kind"
        device small; truncate --size 16M "$file"; losetup --set-capacity "$disk"; conf "$disk"
        refused "has only 16777216 bytes""#)?;
    Ok(())
}

#[test]
fn a_large_volume_that_lost_its_beginning_is_not_blank() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device large; truncate --size 4G "$file"; losetup --set-capacity "$disk"; conf "$disk"
        not_blank() {
            if helper prepare 2>"$dir/said"; then echo "formatted: $1"; exit 1; fi
            grep -q "it holds data of an unknown kind" "$dir/said"
            fallocate --punch-hole --offset 0 --length 4G "$file"
        }
        for size in 1024 2048 4096; do
            chroot . mkfs.ext4 -q -b "$size" "$disk"
            fallocate --punch-hole --offset 0 --length 1G "$file"
            not_blank "ext4 with blocks of $size"
        done
        head --bytes 2M /dev/urandom | dd of="$disk" bs=1M seek=3000 conv=notrunc,fsync status=none
        not_blank "somebody's data"
        helper prepare; mounted"#)?;
    Ok(())
}

#[test]
fn invalid_volume_configuration_is_refused_and_never_means_root() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device blank; conf=etc/t0rn-agent/chain-volume.conf
        for line in "volume = $disk" "  volume=$disk" "EbsVolume=$disk" "volume=$disk " "volume=" "volumes=$disk" 'volume=\033[2J' "$disk"; do
            printf '# a comment\n\n'"$line\n" >$conf
            refused "line 3 of /etc/t0rn-agent/chain-volume.conf is no setting; write volume=…"
        done
        for text in '' '\n' 'wait=0\n' '# volume=none'; do
            printf "$text" >$conf
            refused "/etc/t0rn-agent/chain-volume.conf has no line volume=…; write none"
        done
        for owner in abc 1000 1000:users -1:0; do
            printf "volume=$disk\nowner=$owner\n" >$conf
            # As an earlier run left it.
            ln -s "$disk" run/t0rn-chain/device
            refused "owner=$owner in /etc/t0rn-agent/chain-volume.conf is no user; write the numbers UID:GID"
        done
        printf "volume=$disk\nwait=soon\n" >$conf; refused "wait=soon in"
        # Without a newline at its end.
        printf "owner=1001:1002\nvolume=$disk" >$conf; helper prepare; mounted
        [ "$(stat --format '%u:%g' var/lib/t0rn-collator)" = 1001:1002 ]
        # What is mounted stays what it is while somebody mends the configuration.
        link=$(readlink run/t0rn-chain/device); [ "$link" = "$disk" ]; helper prepare"#)?;
    Ok(())
}

#[test]
fn a_damaged_file_system_is_refused_and_one_that_was_not_unmounted_is_not() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device damaged; conf "$disk"; helper prepare
        before=$(sum)
        chroot . debugfs -w -R 'set_super_value state 2' "$disk" 2>/dev/null
        helper prepare # A fault that was noted and is none.
        chroot . debugfs -w -f - "$disk" >/dev/null 2>&1 <<<$'clri <2>\nset_super_value state 2'
        if helper prepare 2>"$dir/said"; then exit 1; fi
        grep -q "is damaged: .*; look with: e2fsck -n" run/t0rn-chain/refused
        device torn; conf "$disk"; helper prepare; mounted; echo block >var/lib/t0rn-collator/block; sync
        # As a machine that lost power leaves it.
        cp "$file" "$dir/disks/copy"; unmounted
        copy=$(losetup --find --show "$dir/disks/copy"); echo "$copy" >>"$dir/loops"; conf "$copy"
        helper prepare; mounted; [ "$(cat var/lib/t0rn-collator/block)" = block ]"#)?;
    Ok(())
}

#[test]
fn a_volume_is_found_by_label_and_by_id_and_never_guessed() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        label=t$$-$RANDOM
        device one; conf "LABEL=$label"
        refused "no volume LABEL=$label within 0 s; attach it, then: systemctl start docker"
        chroot . mkfs.ext4 -q -L "$label" "$disk"
        helper prepare; [ "$(readlink run/t0rn-chain/device)" = "$disk" ]
        one=$disk
        device two; chroot . mkfs.ext4 -q -L "$label" "$disk"
        refused "several volumes are LABEL=$label"

        id=vol-0$(date +%s%N)
        conf "$id"; refused "no volume $id within 0 s"
        # Attached while it waits.
        conf "$id" 20
        (sleep 2; mkdir -p dev/disk/by-id; ln -s "$one" "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id/-/}") &
        found=; helper prepare && found=$(readlink run/t0rn-chain/device)
        rm "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id/-/}"
        [ "$found" = "$one" ]

        conf sdb; refused "says volume=sdb; write none, LABEL=NAME, vol-… or a device"
        conf none; helper prepare; [ ! -e run/t0rn-chain/device ] && [ ! -e run/t0rn-chain/refused ]
        rm etc/t0rn-agent/chain-volume.conf; helper prepare; [ ! -e run/t0rn-chain/device ]"#)?;
    Ok(())
}

#[test]
fn a_volume_is_what_its_serial_says_and_formatted_by_no_link() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device one; one=$disk; device two; two=$disk; disk=$one; file=$dir/disks/one
        id=vol-0$(date +%s%N); link=dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id/-/}
        trap 'rm -f "$link"; ends' EXIT
        mkdir -p dev/disk/by-id; ln -s "$one" "$link"; conf "$id"
        refused "$one is blank, and a link alone says that it is $id; make the file system by hand"
        # From here on they say themselves who they are.
        mount -t tmpfs tmpfs sys/class/block
        says() { mkdir -p "sys/class/block/${1##*/}"/{device,holders}; echo "$2   " >"sys/class/block/${1##*/}/device/serial"; }
        says "$one" vol0a
        refused "$one is vol0a and not $id, whatever its link says"
        conf "$one"; refused "$one is blank, and its name is of this boot alone; write volume=vol-0a into"
        says "$two" "${id/-/}"; conf "$id"
        helper prepare; [ "$(readlink run/t0rn-chain/device)" = "$two" ]
        says "$one" "${id/-/}"
        refused "several volumes are $id""#)?;
    Ok(())
}

#[test]
fn a_volume_is_not_mounted_over_data_nor_in_the_place_of_another() -> Result<()> {
    devices_or_skip!();
    ok(r#"
        device one; conf "$disk"; helper prepare
        echo block >var/lib/t0rn-collator/block
        refused "/var/lib/t0rn-collator holds data that $disk would hide"
        rm var/lib/t0rn-collator/block
        helper prepare; mounted
        device two; conf "$disk"; chroot . mkfs.ext4 -q "$disk"
        refused "/var/lib/t0rn-collator is another volume's already"
        unmounted
        mkdir elsewhere; mount "$disk" elsewhere
        refused "$disk is in use elsewhere"
        umount elsewhere
        helper prepare"#)?;
    Ok(())
}

#[test]
fn a_file_system_fills_its_volume_when_the_volume_has_grown() -> Result<()> {
    devices_or_skip!();
    // The oldest xfs that its tools still make has 300 MB.
    ok(r#"
        device xfs; truncate --size 320M "$file"; losetup --set-capacity "$disk"; conf "$disk"
        chroot . mkfs.xfs -q "$disk"; helper prepare; mounted
        blocks() { stat --file-system --format %b var/lib/t0rn-collator; }
        before=$(blocks); helper grow >/dev/null; [ "$(blocks)" = "$before" ]
        truncate --size 400M "$file"; losetup --set-capacity "$disk"
        helper grow >/dev/null; after=$(blocks); [ "$after" -gt "$before" ]
        helper grow >/dev/null; [ "$(blocks)" = "$after" ]"#)?;
    let output = ok(r#"
        device ext4; conf "$disk"; helper prepare; mounted
        blocks() { stat --file-system --format %b var/lib/t0rn-collator; }
        before=$(blocks); helper grow >/dev/null 2>&1; [ "$(blocks)" = "$before" ]
        # The kernel asks for CAP_SYS_RESOURCE.
        if [ $((0x$(awk '$1 == "CapEff:" { print $2 }' /proc/self/status) >> 24 & 1)) = 0 ]; then echo may not; exit; fi
        truncate --size 96M "$file"; losetup --set-capacity "$disk"
        helper grow >/dev/null 2>&1; after=$(blocks); [ "$after" -gt "$before" ]
        helper grow >/dev/null 2>&1; [ "$(blocks)" = "$after" ]"#)?;
    if String::from_utf8_lossy(&output.stdout).contains("may not") {
        skip!("growing a mounted ext4 needs CAP_SYS_RESOURCE, which nobody has here");
    }
    Ok(())
}
