//! A stand-in vendor with keys of its own, and what is refused of what it offers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use t0rn_agent_tests::repository::{root, tool};
use t0rn_agent_tests::{skip, wait};
use tempfile::TempDir;

use crate::account::said;

/// Functions of every script here. `key NAME [OPTION…]` makes a key; `sign NAME FILE [OPTION…]` signs with it.
const FUNCTIONS: &str = r#"
export LC_ALL=C
cd "$0"
key() { mkdir -m 700 "$1.gnupg"; gpg --homedir "$1.gnupg" --batch --quiet "${@:2}" --passphrase '' --quick-generate-key "$1 <$1@example.org>" rsa2048 sign "${EXPIRES:-never}" 2>/dev/null; }
fingerprint() { gpg --homedir "$1.gnupg" --batch --with-colons --list-keys 2>/dev/null | awk -F : '$1 == "fpr" { print $10; exit }'; }
export_key() { gpg --homedir "$1.gnupg" --batch --armor --export >"keys/$2"; }
sign() { rm -f "$2.sig"; gpg --homedir "$1.gnupg" --batch --quiet --output "$2.sig" "${@:3}" --detach-sign "$2" 2>/dev/null; }
"#;

/// Packages that do nothing, signed, for both architectures; the list in the form of `ami/versions`.
const OPEN: &str = r#"
mkdir keys
key vendor
export_key vendor vendor.asc
cp keys/vendor.asc published.gpg
for arch in amd64 arm64; do
    mkdir -p latest/$arch
    for name in amazon-ssm-agent amazon-cloudwatch-agent; do
        mkdir -p $name/DEBIAN $name/lib/systemd/system
        printf 'Package: %s\nVersion: 3.3.0.0-1\nArchitecture: %s\nMaintainer: tests <tests@example.org>\nDescription: stand-in\n' $name $arch >$name/DEBIAN/control
        printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >$name/lib/systemd/system/$name.service
        dpkg-deb --root-owner-group --build $name latest/$arch/$name.deb >/dev/null
        sign vendor latest/$arch/$name.deb
        rm -r $name
    done
done
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out cosign.key 2>/dev/null
openssl pkey -in cosign.key -pubout -out keys/cosign.pub
echo cosign >latest/amd64/cosign
openssl dgst -sha256 -sign cosign.key latest/amd64/cosign | base64 >latest/amd64/cosign.sig
printf '%s\n' \
    "amazon-ssm-agent latest vendor.asc $(fingerprint vendor) file://$PWD/{version}/{arch}/amazon-ssm-agent.deb" \
    "amazon-cloudwatch-agent latest file://$PWD/published.gpg $(fingerprint vendor) file://$PWD/{version}/{arch}/amazon-cloudwatch-agent.deb" \
    "cosign latest cosign.pub $(openssl pkey -in cosign.key -pubout -outform DER | sha256sum | cut -c 1-64) file://$PWD/{version}/{arch}/cosign" >versions
"#;

/// What is wrong with the vendor, the script that makes it so, and words of the refusal with its remedy.
const WRONG: [(&str, &str, &str); 13] = [
    (
        "a tampered package",
        "echo more >>latest/amd64/amazon-ssm-agent.deb",
        "it is not what its vendor signed: changed or damaged on its way; do not install it",
    ),
    (
        "no signature",
        "rm latest/amd64/amazon-ssm-agent.deb.sig",
        "without one it is not installed: try again, or choose another version",
    ),
    (
        "an empty signature",
        ": >latest/amd64/amazon-ssm-agent.deb.sig",
        "its signature cannot be read; download it again",
    ),
    (
        "a signature of another key",
        "key other; sign other latest/amd64/amazon-ssm-agent.deb",
        "it is signed with another key than",
    ),
    (
        "another key at its address",
        "key other; sign other latest/amd64/amazon-cloudwatch-agent.deb; export_key other other.asc; mv keys/other.asc published.gpg",
        "do not install what it signed: compare with the address in",
    ),
    (
        "another key beside the right one",
        "key other; sign other latest/amd64/amazon-ssm-agent.deb; export_key other other.asc; cat keys/other.asc >>keys/vendor.asc",
        "it is signed with another key than",
    ),
    (
        "an expired key",
        "EXPIRES=1y key old --faked-system-time 20200101T000000!; sign old latest/amd64/amazon-ssm-agent.deb --faked-system-time 20200601T000000!; export_key old vendor.asc; sed -i \"s/asc [0-9A-F]* /asc $(fingerprint old) /\" versions",
        "expired on 2020-12-31; compare with the address in",
    ),
    (
        "an expired signature",
        "key old --faked-system-time 20200101T000000!; sign old latest/amd64/amazon-ssm-agent.deb --faked-system-time 20200601T000000! --default-sig-expire 1m; export_key old vendor.asc; sed -i \"s/asc [0-9A-F]* /asc $(fingerprint old) /\" versions",
        "its signature has expired; download it again",
    ),
    (
        "a revoked key",
        "sed 's/^://' vendor.gnupg/openpgp-revocs.d/*.rev | gpg --homedir vendor.gnupg --batch --quiet --import 2>/dev/null; export_key vendor vendor.asc",
        "the vendor has revoked its key",
    ),
    (
        "no key",
        "rm keys/vendor.asc",
        "keys/vendor.asc is missing; ami/README.md says where it comes from",
    ),
    (
        "a key that is none",
        "echo key >keys/vendor.asc",
        "the vendor's key is no OpenPGP key",
    ),
    (
        "no package",
        "rm -r latest",
        "cannot be downloaded (see above): try again, or choose a version that is there",
    ),
    (
        "a version that is none",
        "sed -i 's/ latest / ..\\/.. /' versions",
        "is neither latest nor a version",
    ),
];

/// The vendor's repository, gone with the value.
pub(crate) struct Vendor(TempDir);

impl Vendor {
    pub(crate) fn open() -> Result<Self> {
        let vendor = Self(tempfile::Builder::new().prefix("vendor").tempdir()?);
        vendor.change(OPEN)?;
        Ok(vendor)
    }

    /// The file in the place of `ami/versions`.
    pub(crate) fn list(&self) -> PathBuf {
        self.0.path().join("versions")
    }

    /// The package of Systems Manager's agent for `x86_64`.
    pub(crate) fn agent(&self) -> PathBuf {
        self.0.path().join("latest/amd64/amazon-ssm-agent.deb")
    }

    fn change(&self, script: &str) -> Result<()> {
        let mut bash = Command::new("bash");
        bash.args(["-euc", &format!("{FUNCTIONS}{script}")]).arg(self.0.path());
        let output = wait::run(120, &mut bash)?;
        ensure!(output.status.success(), "{script}: {}", said(&output));
        Ok(())
    }

    fn fetch(&self, folder: &Path, arguments: &[&str]) -> Result<Output> {
        let mut fetch = Command::new(root().join("packer/fetch"));
        fetch.arg(folder).args(arguments).env("VERSIONS", self.list());
        wait::run(60, &mut fetch)
    }
}

#[test]
fn packages_of_both_architectures_are_verified_and_recorded() -> Result<()> {
    if tool("gpg").is_none() {
        skip!("gpg is missing: tests/tools/setup gpg");
    }
    let vendor = Vendor::open()?;
    let folder = tempfile::tempdir()?;
    for (architecture, names) in [
        ("x86_64", &["amazon-ssm-agent", "amazon-cloudwatch-agent", "cosign"][..]),
        ("arm64", &[]),
    ] {
        let fetched = vendor.fetch(folder.path(), &[&[architecture], names].concat())?;
        ensure!(fetched.status.success(), "{}", said(&fetched));
        let recorded = std::fs::read_to_string(folder.path().join("verified"))?;
        ensure!(recorded.lines().count() == names.len().max(2), "{recorded}");
        for line in recorded.lines() {
            let [name, "latest", sum, _] = line.split(' ').collect::<Vec<_>>()[..] else {
                anyhow::bail!("{line}");
            };
            let file = if name == "cosign" {
                name.to_owned()
            } else {
                format!("{name}.deb")
            };
            let sums = wait::run(20, Command::new("sha256sum").arg(folder.path().join(file)))?;
            ensure!(said(&sums).starts_with(sum), "{line}: {}", said(&sums));
        }
    }
    let mut field = Command::new("dpkg-deb");
    field
        .arg("--field")
        .arg(folder.path().join("amazon-ssm-agent.deb"))
        .arg("Architecture");
    ensure!(said(&wait::run(20, &mut field)?) == "arm64\n");
    Ok(())
}

#[test]
fn package_without_valid_vendor_signature_is_refused_with_remedy() -> Result<()> {
    if tool("gpg").is_none() {
        skip!("gpg is missing: tests/tools/setup gpg");
    }
    for (what, script, words) in WRONG {
        let vendor = Vendor::open()?;
        vendor.change(script)?;
        let folder = tempfile::tempdir()?;
        let refused = vendor.fetch(folder.path(), &["x86_64"])?;
        let told = said(&refused);
        ensure!(!refused.status.success() && told.contains(words), "{what}: {told}");
        let verified = std::fs::read_to_string(folder.path().join("verified"))?;
        let of_agent = if words.contains("do not install what") {
            "amazon-cloudwatch-agent"
        } else {
            "amazon-ssm-agent"
        };
        ensure!(
            !verified.contains(of_agent) && !folder.path().join(format!("{of_agent}.deb")).exists(),
            "{what}: {verified}"
        );
    }
    // A program that is signed with a key in PEM.
    for (what, script, words) in [
        (
            "a tampered program",
            "echo more >>latest/amd64/cosign",
            "it is not what its vendor signed",
        ),
        (
            "another key",
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | openssl pkey -pubout -out keys/cosign.pub",
            "do not install what it signed",
        ),
    ] {
        let vendor = Vendor::open()?;
        vendor.change(script)?;
        let folder = tempfile::tempdir()?;
        let refused = vendor.fetch(folder.path(), &["x86_64", "cosign"])?;
        let told = said(&refused);
        ensure!(!refused.status.success() && told.contains(words), "{what}: {told}");
        ensure!(!folder.path().join("cosign").exists(), "{what}: {told}");
    }
    Ok(())
}

/// The keys in the tree are those whose fingerprints the list has.
#[test]
fn vendor_keys_in_tree_match_their_fingerprints() -> Result<()> {
    if tool("gpg").is_none() {
        skip!("gpg is missing: tests/tools/setup gpg");
    }
    let script = r#"
        cd "$0/ami"
        grep -v '^#' versions | while read -r name _ key fingerprint _; do
            case $name$key in
            '') ;;
            *https:*) [[ $fingerprint =~ ^[0-9A-F]{40}$ ]] || { echo "$name: $fingerprint"; exit 1; } ;;
            *.pub) openssl pkey -pubin -in keys/$key -outform DER | sha256sum | grep -q "^$fingerprint " || { echo "$name: $key"; exit 1; } ;;
            *) gpg --batch --with-colons --show-keys keys/$key | grep -q "^fpr:::::::::$fingerprint:" || { echo "$name: $key"; exit 1; } ;;
            esac
        done"#;
    let output = wait::run(
        20,
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .arg(root()),
    )?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}
