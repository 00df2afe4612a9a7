//! Where a bucket is: settings of the environment, region, partition and address.

use std::collections::BTreeMap;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key, Checksum};
use reqwest::Url;

use super::S3Error;
use crate::credentials::is_ascii_graphic;
use crate::imds::Imds;

/// Domains of the partitions whose regions do not end in `amazonaws.com`, by the beginning of a region's name.
const DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];
const DOMAIN: &str = "amazonaws.com";

/// Settings from the environment variables that AWS' own tools and `object_store` read.
pub(crate) struct Settings {
    pub(super) builder: AmazonS3Builder,
    /// `AWS_USE_DUALSTACK_ENDPOINT`: also IPv6.
    dual_stack: bool,
}

impl Settings {
    /// Reads variables and their values. Objects get SHA-256 checksums, which buckets with Object Lock demand, unless
    /// `AWS_REQUEST_CHECKSUM_CALCULATION` is `when_required` or `checksums` is false.
    pub(crate) fn read(vars: impl IntoIterator<Item = (String, String)>, checksums: bool) -> Self {
        let set: BTreeMap<_, _> = vars
            .into_iter()
            .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let is = |name: &str, value: &str| set.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
        let mut builder = AmazonS3Builder::new();
        if checksums && !is("aws_request_checksum_calculation", "when_required") {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        let dual_stack = is("aws_use_dualstack_endpoint", "true");
        for (name, value) in set {
            match name.parse() {
                Ok(Key::Checksum) if !checksums => {}
                Ok(key) => builder = builder.with_config(key, value),
                // For other tools.
                Err(_) => {}
            }
        }
        Self { builder, dual_stack }
    }

    /// Sets region and endpoint for a bucket. Returns the bucket's URL.
    pub(super) async fn locate(&mut self, name: &str, imds: &str) -> Result<Url, S3Error> {
        let set = |key| self.builder.get_config_value(&key);
        let region = match set(Key::Region).or_else(|| set(Key::DefaultRegion)) {
            Some(region) => region,
            None => region_of(imds).await?,
        };
        if !is_ascii_graphic(&region) {
            return Err(super::blanks("AWS_REGION"));
        }
        let mut builder = std::mem::take(&mut self.builder).with_region(&region);
        let set = |key| builder.get_config_value(&key);
        let base = if let Some(endpoint) = set(Key::S3Endpoint).or_else(|| set(Key::Endpoint)) {
            format!("{}/{name}", endpoint.trim_end_matches('/'))
        } else {
            let base = bucket(name, &region, self.dual_stack);
            // With the bucket in it, whichever form it has.
            builder = builder.with_endpoint(&base).with_virtual_hosted_style_request(true);
            base
        };
        if builder.get_config_value(&Key::StsEndpoint).is_none() {
            let sts = format!("https://sts.{region}.{}", domain(&region));
            builder = builder.with_config(Key::StsEndpoint, sts);
        }
        self.builder = builder;
        address(&base)
    }
}

/// The domain of the partition that a region belongs to.
fn domain(region: &str) -> &'static str {
    let found = DOMAINS.iter().find(|(begins, _)| region.starts_with(begins));
    found.map_or(DOMAIN, |(_, domain)| domain)
}

/// The URL of a bucket of AWS.
fn bucket(name: &str, region: &str, dual_stack: bool) -> String {
    let host = format!(
        "s3{}.{region}.{}",
        if dual_stack { ".dualstack" } else { "" },
        domain(region)
    );
    // The wildcard certificate covers no bucket names with dots.
    if name.contains('.') {
        format!("https://{host}/{name}")
    } else {
        format!("https://{name}.{host}")
    }
}

async fn region_of(imds: &str) -> Result<String, S3Error> {
    let which = |why: String| S3Error::Invalid(format!("which region? set AWS_REGION{why}"));
    let region = Imds::new(imds).get_again("meta-data/placement/region").await;
    let region = region.map_err(|error| which(format!(" ({error})")))?;
    region.ok_or_else(|| which(String::new()))
}

/// A URL that may be asked.
fn address(base: &str) -> Result<Url, S3Error> {
    let url = Url::parse(base)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()));
    let url = url.filter(|_| is_ascii_graphic(base) && base.parse::<::http::Uri>().is_ok());
    url.ok_or_else(|| {
        S3Error::Invalid(format!(
            "{base} is no address: check AWS_REGION and AWS_ENDPOINT_URL_S3"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_address_is_rejected() {
        for base in [
            "nothing",
            "ftp://host/b",
            "https://my bucket.s3.x.amazonaws.com",
            "http://h:99999/b",
            "http:///b",
        ] {
            assert!(address(base).is_err(), "{base}");
        }
        assert!(address("http://127.0.0.1:9000/bucket").is_ok());
    }

    #[tokio::test]
    async fn bucket_is_addressed_by_region_partition_and_settings() {
        for (name, vars, expected) in [
            (
                "b",
                vec![("AWS_REGION", "eu-central-1")],
                "https://b.s3.eu-central-1.amazonaws.com/",
            ),
            (
                "b",
                vec![("AWS_DEFAULT_REGION", "eu-west-1")],
                "https://b.s3.eu-west-1.amazonaws.com/",
            ),
            (
                "b.c",
                vec![("AWS_REGION", "eu-central-1")],
                "https://s3.eu-central-1.amazonaws.com/b.c",
            ),
            (
                "b",
                vec![("AWS_REGION", "us-gov-west-1")],
                "https://b.s3.us-gov-west-1.amazonaws.com/",
            ),
            (
                "b",
                vec![("AWS_REGION", "cn-north-1")],
                "https://b.s3.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "b.c",
                vec![("AWS_REGION", "cn-north-1")],
                "https://s3.cn-north-1.amazonaws.com.cn/b.c",
            ),
            (
                "b",
                vec![("AWS_REGION", "us-isob-east-1")],
                "https://b.s3.us-isob-east-1.sc2s.sgov.gov/",
            ),
            (
                "b",
                vec![("AWS_REGION", "eusc-de-east-1")],
                "https://b.s3.eusc-de-east-1.amazonaws.eu/",
            ),
            (
                "b",
                vec![("AWS_REGION", "eu-central-1"), ("AWS_USE_DUALSTACK_ENDPOINT", "true")],
                "https://b.s3.dualstack.eu-central-1.amazonaws.com/",
            ),
            (
                "b",
                vec![("AWS_REGION", "x"), ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000/")],
                "http://127.0.0.1:9000/b",
            ),
        ] {
            let vars = vars
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut settings = Settings::read(vars, true);
            let url = settings.locate(name, "http://127.0.0.1:1").await.map(String::from);
            assert_eq!(url.unwrap_or_default(), expected);
        }
    }
}
