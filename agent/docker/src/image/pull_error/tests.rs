use super::*;

fn kind(fault: &ImageFault) -> &'static str {
    match fault {
        ImageFault::Unauthorized(_) => "login",
        ImageFault::NotFound(_) => "reference",
        ImageFault::RateLimited(_) => "limit",
        ImageFault::Registry(_) => "network",
        ImageFault::Digest(_) => "digest",
        ImageFault::Damaged(_) => "damaged",
        ImageFault::Unpack(_) => "unpack",
        ImageFault::Store(_) => "store",
        ImageFault::DiskFull { .. } => "disk",
        ImageFault::Invalid(_) => "grammar",
        _ => "other",
    }
}

/// Text, HTTP status of Docker's answer (none within the stream of a pull), fault. Most texts are from public reports.
const CASES: &[(&str, Option<u16>, &str)] = &[
    // Refused logins.
    (
        "Head \"http://r/v2/n/manifests/1\": no basic auth credentials",
        Some(500),
        "login",
    ),
    ("unauthorized: authentication required", Some(401), "login"),
    (
        "Head \"https://ghcr.io/v2/d/n/manifests/0.2037.0\": denied: denied",
        Some(500),
        "login",
    ),
    (
        "error from registry: denied: requested access to the resource is denied",
        None,
        "login",
    ),
    (
        "unknown: failed to resolve reference \"ghcr.io/l/voy:latest\": unexpected status from HEAD request to \
         https://ghcr.io/v2/l/voy/manifests/latest: 403 Forbidden",
        Some(500),
        "login",
    ),
    (
        "error from registry: failed to resolve reference \"docker.io/docker/w:latest\": failed to authorize: failed to \
         fetch oauth token: unexpected status from GET request to https://auth.docker.io/token?scope=x: 401 Unauthorized",
        Some(500),
        "login",
    ),
    (
        "error parsing HTTP 403 response body: unexpected end of JSON input: \"\"",
        Some(500),
        "login",
    ),
    // Names the registry does not know.
    (
        "manifest for r/n:9 not found: manifest unknown: manifest unknown",
        Some(404),
        "reference",
    ),
    (
        "name unknown: The repository with name 'n' does not exist in the registry with id '1'",
        Some(404),
        "reference",
    ),
    (
        "pull access denied for n, repository does not exist or may require 'docker login': denied: requested access to \
         the resource is denied",
        Some(404),
        "reference",
    ),
    (
        "failed to resolve reference \"docker.io/library/n:9\": docker.io/library/n:9: not found",
        Some(404),
        "reference",
    ),
    // docker/hub-feedback#2464, and the same through containerd.
    (
        "toomanyrequests: You have reached your unauthenticated pull rate limit. \
         https://www.docker.com/increase-rate-limit",
        Some(500),
        "limit",
    ),
    (
        "failed to copy: httpReadSeeker: failed open: unexpected status code \
         https://registry-1.docker.io/v2/h/k/manifests/sha256:7a54: 429 Too Many Requests - Server message: \
         toomanyrequests: You have reached your unauthenticated pull rate limit.",
        None,
        "limit",
    ),
    ("too many", Some(429), "limit"),
    // Unpacking: moby#46817, #37817, #53298, docker/for-linux#1342.
    (
        "failed to register layer: Error processing tar file(exit status 1): open /bin/[: permission denied",
        None,
        "unpack",
    ),
    (
        "failed to register layer: ApplyLayer exit status 1 stdout:  stderr: open /etc/passwd: permission denied",
        None,
        "unpack",
    ),
    (
        "failed to register layer: openat etc/motd: operation not permitted",
        None,
        "unpack",
    ),
    (
        "failed to register layer: open /var/lib/docker/aufs/layers/97: no such file or directory",
        None,
        "unpack",
    ),
    (
        "failed to unpack image on snapshotter overlayfs: mount callback failed on /x: failed to Lchown \"/a: b\" for \
         UID 1: lchown /a: invalid argument",
        None,
        "unpack",
    ),
    // The local store: moby#52411, #46077.
    (
        "failed to unpack image on snapshotter overlayfs: apply layer error for \"docker.io/library/haskell:7\": failed \
         to extract layer sha256:4dca: NotFound: failed to get reader from content store: content digest \
         sha256:51f5c6: not found",
        None,
        "store",
    ),
    (
        "failed to read config content: content digest sha256:3010a0: not found",
        Some(404),
        "store",
    ),
    // Digests.
    ("manifest verification failed for digest sha256:ab", Some(500), "digest"),
    (
        "failed commit on ref \"manifest-sha256:ab\": unexpected commit digest sha256:cd, expected sha256:ab: failed \
         precondition",
        None,
        "digest",
    ),
    (
        "filesystem layer verification failed for digest sha256:ab",
        None,
        "damaged",
    ),
    (
        "failed commit on ref \"layer-sha256:ab\": unexpected commit size 10, expected 20: failed precondition",
        None,
        "damaged",
    ),
    // Full disks, in every step.
    (
        "write /var/lib/docker/tmp/GetImageBlob872957069: no space left on device",
        None,
        "disk",
    ),
    (
        "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x.so: no space left on device",
        None,
        "disk",
    ),
    (
        "failed to copy: failed to send write: write /var/lib/containerd/io.containerd.content.v1.content/ingest/1/data: \
         no space left on device: unknown",
        None,
        "disk",
    ),
    ("failed to register layer: write /x: disk quota exceeded", None, "disk"),
    // The network.
    (
        "Get \"http://r/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
        Some(500),
        "network",
    ),
    (
        "Get \"https://r/v2/\": net/http: TLS handshake timeout",
        Some(500),
        "network",
    ),
    (
        "Get \"https://r/v2/\": dial tcp: lookup r on 10.0.2.3:53: no such host",
        Some(500),
        "network",
    ),
    (
        "Get \"https://r/v2/\": x509: certificate signed by unknown authority",
        Some(500),
        "network",
    ),
    (
        "Get \"https://r/v2/\": proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: no route to host",
        Some(500),
        "network",
    ),
    (
        "Get \"https://r/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while \
         awaiting headers)",
        Some(500),
        "network",
    ),
    ("Get \"https://r/v2/\": context deadline exceeded", Some(500), "network"),
    (
        "read tcp 10.0.0.1:5->10.0.0.2:443: read: connection reset by peer",
        None,
        "network",
    ),
    ("unexpected EOF", None, "network"),
    (
        "received unexpected HTTP status: 503 Service Unavailable",
        Some(500),
        "network",
    ),
    (
        "failed to resolve reference \"docker.io/e/c:latest\": failed to authorize: failed to fetch anonymous token: \
         Get \"https://auth.docker.io/token?scope=x\": EOF",
        Some(500),
        "network",
    ),
    // Words that only look like one of the above.
    (
        "invalid reference format: repository name must be lowercase",
        Some(400),
        "grammar",
    ),
    (
        "something about an unauthorized timeout, not found or denied",
        Some(500),
        "other",
    ),
    (
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        None,
        "other",
    ),
];

#[test]
fn step_code_and_status_of_a_failed_pull_decide_the_fault() {
    for (text, status, expected) in CASES {
        assert_eq!(kind(&classify((*text).to_owned(), *status)), *expected, "{text}");
    }
}

#[test]
fn a_registry_out_of_reach_comes_with_the_remedy_of_its_cause() {
    for (text, remedy) in [
        (
            "Get \"https://r/v2/\": dial tcp: lookup r on 10.0.2.3:53: server misbehaving",
            "resolver",
        ),
        (
            "Get \"https://r/v2/\": proxyconnect tcp: dial tcp: lookup p: no such host",
            "HTTPS_PROXY",
        ),
        (
            "Get \"https://r/v2/\": x509: certificate has expired or is not yet valid",
            "clock",
        ),
        (
            "Get \"https://r/v2/\": tls: failed to verify certificate: x509: unknown authority",
            "certs.d",
        ),
        (
            "received unexpected HTTP status: 502 Bad Gateway",
            "registry works again",
        ),
        (
            "Get \"https://r/v2/\": dial tcp 10.0.0.1:443: i/o timeout",
            "check the network",
        ),
    ] {
        let said = ImageFault::Registry(text.to_owned()).to_string();
        assert!(said.contains(remedy) && said.contains(text), "{said}");
    }
}

#[test]
fn only_a_broken_connection_is_worth_another_attempt_at_once() {
    assert!(was_reset(
        "read tcp 10.0.0.1:5->10.0.0.2:443: read: connection reset by peer"
    ));
    assert!(was_reset("Get \"https://r/v2/\": EOF"));
    assert!(!was_reset("Get \"https://r/EOF/\": dial tcp: lookup r: no such host"));
}
