//! The web configuration file: what is good, what is wrong and where, and that nothing of it is ever quoted.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use haltwatch::output::http::web_config::WebConfig;
use rcgen::{CertificateParams, KeyPair};

/// A hash of the lowest cost.
const HASH: &str = "$2y$04$WYRMn6qaJ0Jl8UZ9dvdkCuv5CiSnTczT4kUbw.YtA5GTtTjSCQS5m";

/// A folder of its own, which goes when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("haltwatch-web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        // Renamed into place, as everybody who replaces a file that is being read should.
        fs::write(self.0.join("new"), text).unwrap();
        fs::rename(self.0.join("new"), &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder with a certificate, its key, another key, and an authority.
fn folder() -> Folder {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    folder.write("server.crt", &certificate.pem());
    folder.write("ca.crt", &certificate.pem());
    folder.write("server.key", &key.serialize_pem());
    folder.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    folder.write("empty.pem", "");
    folder.write("junk.pem", "-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n");
    folder
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// What the file `text` leads to: `good`, the notes, or the faults without the folder.
fn outcome(folder: &Folder, text: &str) -> String {
    let file = folder.write("web.yml", text);
    let said = match WebConfig::load(&file) {
        Ok(config) if config.notes.is_empty() => "good".to_owned(),
        Ok(config) => format!("good, but {}", config.notes.join("; ")),
        Err(broken) => broken.to_string(),
    };
    said.replace(&format!("{}/", folder.0.display()), "")
}

#[test]
fn every_good_file_is_taken() {
    let folder = folder();
    let tls = |more: &str| format!("{TLS}{more}");
    let inline = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap().replace('\n', "\n    ");
    for (name, text) in [
        ("empty", String::new()),
        ("comment", "# nothing yet\n".to_owned()),
        ("no_auth", tls("")),
        ("empty_sections", "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\n".to_owned()),
        (
            "tls_inline",
            format!(
                "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
                inline("server.crt"),
                inline("server.key")
            ),
        ),
        ("no_client_cert", tls("  client_auth_type: NoClientCert\n")),
        ("request_client_cert", tls("  client_auth_type: RequestClientCert\n")),
        ("require_any_client_cert", tls("  client_auth_type: RequireAnyClientCert\n")),
        ("require_client_cert_old_name", tls("  client_auth_type: RequireClientCert\n")),
        ("verify_client_cert_if_given", tls("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n")),
        ("require_and_verify", tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n")),
        (
            "client_ca_inline",
            tls(&format!("  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    {}\n", inline("ca.crt"))),
        ),
        ("client_san", tls("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a.example.org]\n")),
        ("versions", tls("  min_version: TLS13\n  max_version: TLS13\n")),
        ("some_ciphers", tls("  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n")),
        (
            "some_ciphers_client_order",
            tls("  prefer_server_cipher_suites: false\n  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n"),
        ),
        ("some_curves", tls("  curve_preferences: [CurveP384, X25519]\n")),
        ("no_http2", tls("http_server_config:\n  http2: false\n")),
        ("users", tls(&format!("basic_auth_users:\n  alice: {HASH}\n  \"bob smith\": '{HASH}'\n"))),
        ("users_no_tls", format!("basic_auth_users:\n  alice: {HASH}\n")),
        (
            "headers",
            "http_server_config:\n  headers:\n    Content-Security-Policy: \"default-src 'self'\"\n    \
            X-Frame-Options: sameorigin\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: 0\n    \
            Strict-Transport-Security: max-age=31536000\n"
                .to_owned(),
        ),
        ("blank_header", "http_server_config:\n  headers:\n    X-Frame-Options: ''\n".to_owned()),
        ("rate_limit", "rate_limit:\n  interval: 1s\n  burst: 20\n".to_owned()),
        ("rate_limit_off", "rate_limit:\n  interval: 0s\n  burst: 0\n".to_owned()),
        ("rate_limit_in_nanoseconds", "rate_limit: {interval: 1000000000, burst: 1}\n".to_owned()),
    ] {
        assert_eq!(outcome(&folder, &text), "good", "{name}");
    }
}

#[test]
fn what_other_exporters_have_and_we_lack_is_told_and_left_out() {
    let folder = folder();
    for (more, wanted) in [
        ("http_server_config:\n  http2: true\n", "good, but HTTP/2 is not offered here; clients use HTTP/1.1"),
        ("  curve_preferences: [CurveP521, CurveP256]\n", "good, but the curve CurveP521 is not offered here"),
        (
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA256]\n",
            "good, but the cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is not offered here",
        ),
        (
            "  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca.crt\n",
            "good, but the client CA is not looked at: `client_auth_type` verifies nothing",
        ),
    ] {
        assert_eq!(outcome(&folder, &format!("{TLS}{more}")), wanted);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, a fault in each row")]
fn every_fault_is_told_with_its_place() {
    let folder = folder();
    let tls = |more: &str| format!("{TLS}{more}");
    let top = "tls_server_config, http_server_config, basic_auth_users, rate_limit";
    for (name, text, wanted) in [
        ("junk_key", "tls_server_confg: {}\n".to_owned(), format!("web.yml:1:1: unknown key; known here: {top}")),
        ("not_a_map", "hello\n".to_owned(), "web.yml:1:1: here belong keys with their values".to_owned()),
        ("not_yaml", "a: [\n".to_owned(), "web.yml:1:4: this is not YAML".to_owned()),
        ("twice", "rate_limit:\nrate_limit:\n".to_owned(), "web.yml:2:1: this key is there twice".to_owned()),
        (
            "cert_path_empty",
            tls("").replace("server.crt", "''"),
            "web.yml:2:3: `cert_file` or `cert` is missing".to_owned(),
        ),
        (
            "key_path_empty",
            tls("").replace("server.key", "''"),
            "web.yml:2:3: `key_file` or `key` is missing".to_owned(),
        ),
        (
            "both_empty",
            "tls_server_config:\n  min_version: TLS12\n".to_owned(),
            "web.yml:2:3: `cert_file` or `cert` is missing\nweb.yml:2:3: `key_file` or `key` is missing".to_owned(),
        ),
        (
            "cert_path_invalid",
            tls("").replace("server.crt", "somefile"),
            "web.yml:2:14: somefile cannot be read: No such file or directory (os error 2)".to_owned(),
        ),
        (
            "key_path_invalid",
            tls("").replace("server.key", "somefile"),
            "web.yml:3:13: somefile cannot be read: No such file or directory (os error 2)".to_owned(),
        ),
        (
            "cert_empty",
            tls("").replace("server.crt", "empty.pem"),
            "web.yml:2:14: empty.pem holds no certificate".to_owned(),
        ),
        (
            "cert_junk",
            tls("").replace("server.crt", "junk.pem"),
            "web.yml:2:14: the certificate cannot be used".to_owned(),
        ),
        (
            "cert_is_a_key",
            tls("").replace("server.crt", "server.key"),
            "web.yml:2:14: server.key holds no certificate".to_owned(),
        ),
        (
            "key_is_a_cert",
            tls("").replace("server.key", "server.crt"),
            "web.yml:3:13: server.crt holds no private key without a password".to_owned(),
        ),
        (
            "another_key",
            tls("").replace("server.key", "other.key"),
            "web.yml:2:14: the certificate and the key do not belong together".to_owned(),
        ),
        (
            "cert_twice",
            tls("  cert: SECRET\n"),
            "web.yml:4:9: `cert` and `cert_file` exclude each other\n\
            web.yml:2:3: `cert_file` or `cert` is missing"
                .to_owned(),
        ),
        (
            "auth_invented",
            tls("  client_auth_type: Sometimes\n"),
            "web.yml:4:21: `client_auth_type` is one of NoClientCert, RequestClientCert, RequireAnyClientCert, \
             VerifyClientCertIfGiven, RequireAndVerifyClientCert"
                .to_owned(),
        ),
        (
            "verify_without_ca",
            tls("  client_auth_type: RequireAndVerifyClientCert\n"),
            "web.yml:4:21: `client_ca_file` or `client_ca` is missing: certificates are verified".to_owned(),
        ),
        (
            "ca_without_auth",
            tls("  client_ca_file: ca.crt\n"),
            "web.yml:4:19: there is a client CA, but no `client_auth_type`".to_owned(),
        ),
        (
            "ca_missing",
            tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none.crt\n"),
            "web.yml:5:19: none.crt cannot be read: No such file or directory (os error 2)".to_owned(),
        ),
        (
            "ca_nocerts",
            tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: empty.pem\n"),
            "web.yml:5:19: empty.pem holds no certificate".to_owned(),
        ),
        (
            "san_no_client_auth",
            tls("  client_allowed_sans: [x]\n"),
            "web.yml:2:3: `client_allowed_sans` needs RequireAnyClientCert or RequireAndVerifyClientCert".to_owned(),
        ),
        (
            "san_optional_cert",
            tls("  client_auth_type: RequestClientCert\n  client_allowed_sans: [x]\n"),
            "web.yml:4:21: `client_allowed_sans` needs RequireAnyClientCert or RequireAndVerifyClientCert".to_owned(),
        ),
        (
            "san_no_list",
            tls("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: x\n"),
            "web.yml:5:24: `client_allowed_sans` must be a list".to_owned(),
        ),
        (
            "wrong_tls_version",
            tls("  min_version: TLS111\n"),
            "web.yml:4:16: `min_version` is TLS12 or TLS13".to_owned(),
        ),
        (
            "old_tls_version",
            tls("  min_version: TLS10\n"),
            "web.yml:4:16: TLS 1.0 and 1.1 are not offered here; write TLS12 or TLS13".to_owned(),
        ),
        (
            "max_below_min",
            tls("  min_version: TLS13\n  max_version: TLS12\n"),
            "web.yml:2:3: `max_version` is below `min_version`".to_owned(),
        ),
        (
            "invented_ciphers",
            tls("  cipher_suites: [TLS_INVENTED]\n"),
            "web.yml:4:19: this is not a known cipher suite".to_owned(),
        ),
        (
            "lacking_ciphers",
            tls("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"),
            "web.yml:4:19: no cipher suite of this list is offered here".to_owned(),
        ),
        (
            "invented_curves",
            tls("  curve_preferences: [CurveP257]\n"),
            "web.yml:4:23: this is not a known curve".to_owned(),
        ),
        (
            "lacking_curves",
            tls("  curve_preferences: [CurveP521]\n"),
            "web.yml:4:23: no curve of this list is offered here".to_owned(),
        ),
        (
            "flag",
            tls("  prefer_server_cipher_suites: 1\n"),
            "web.yml:4:32: `prefer_server_cipher_suites` must be true or false".to_owned(),
        ),
        (
            "user_list_invalid",
            "basic_auth_users:\n  john: SECRET\n".to_owned(),
            "web.yml:2:9: this is not a hash of bcrypt".to_owned(),
        ),
        (
            "user_list_no_map",
            "basic_auth_users: [SECRET]\n".to_owned(),
            "web.yml:1:19: here belong keys with their values".to_owned(),
        ),
        (
            "user_hash_cut",
            format!("basic_auth_users:\n  john: {}\n", &HASH[..59]),
            "web.yml:2:9: this is not a hash of bcrypt".to_owned(),
        ),
        (
            "user_cost",
            format!("basic_auth_users:\n  john: {}\n", HASH.replace("$04$", "$19$")),
            "web.yml:2:9: a cost of more than 18 would let anybody occupy a processor for seconds".to_owned(),
        ),
        (
            "extra_header",
            "http_server_config:\n  headers:\n    Server: SECRET\n".to_owned(),
            "web.yml:3:5: unknown key; known here: Content-Security-Policy, X-Frame-Options, \
             X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security"
                .to_owned(),
        ),
        (
            "frame_options",
            "http_server_config:\n  headers:\n    X-Frame-Options: SECRET\n".to_owned(),
            "web.yml:3:22: X-Frame-Options can be deny or sameorigin".to_owned(),
        ),
        (
            "content_type_options",
            "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n".to_owned(),
            "web.yml:3:29: X-Content-Type-Options can be nosniff".to_owned(),
        ),
        (
            "header_in_two_lines",
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"a\\nb: c\"\n".to_owned(),
            "web.yml:3:23: this cannot stand in a header".to_owned(),
        ),
        (
            "rate_without_burst",
            "rate_limit:\n  interval: 1s\n".to_owned(),
            "web.yml:2:3: `burst` must be at least 1, or every request would be refused".to_owned(),
        ),
        (
            "rate_interval",
            "rate_limit:\n  interval: often\n  burst: 1\n".to_owned(),
            "web.yml:2:13: this is not a duration like 1s, 500ms or 1m30s".to_owned(),
        ),
        (
            "rate_burst",
            "rate_limit:\n  interval: 1s\n  burst: -1\n".to_owned(),
            "web.yml:3:10: `burst` must be a whole number, not negative\n\
             web.yml:2:3: `burst` must be at least 1, or every request would be refused"
                .to_owned(),
        ),
    ] {
        let said = outcome(&folder, &text);
        assert_eq!(sorted(&said), sorted(&wanted), "{name}");
        assert!(!said.contains("SECRET") && !said.contains("$2y$"), "{name}: {said}");
    }
}

#[test]
fn a_rate_beyond_all_counting_is_a_fault() {
    let folder = folder();
    let wanted = "web.yml:1:13: `interval` times `burst` is more than a year";
    for rate in ["interval: 5256000h, burst: 1", "interval: 1h, burst: 4294967295", "interval: 9999999h, burst: 1"] {
        assert_eq!(outcome(&folder, &format!("rate_limit: {{{rate}}}\n")), wanted, "{rate}");
    }
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let said = outcome(&folder(), "a: 1\nrate_limit: {interval: x}\nbasic_auth_users: {u: y}\n");
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.starts_with("web.yml:1:1: ") && said.contains("\nweb.yml:2:24: ") && said.contains("\nweb.yml:3:23: ")
    );
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_a_fault() {
    let folder = folder();
    let missing = WebConfig::load(&folder.0.join("none.yml")).unwrap_err().to_string();
    assert!(missing.ends_with("none.yml: cannot be read: No such file or directory (os error 2)"), "{missing}");
    fs::write(folder.0.join("bytes.yml"), b"\xff\xfe\x00").unwrap();
    assert!(WebConfig::load(&folder.0.join("bytes.yml")).is_err());
    fs::write(folder.0.join("large.yml"), "#".repeat(2 << 20)).unwrap();
    let large = WebConfig::load(&folder.0.join("large.yml")).unwrap_err().to_string();
    assert!(large.ends_with("large.yml: cannot be read: more than 1 MiB"), "{large}");
}

#[test]
fn no_part_of_a_key_or_hash_is_quoted_wherever_it_stands() {
    let folder = folder();
    for text in [
        "SECRET: SECRET\n",
        "- SECRET\n",
        "tls_server_config: SECRET\n",
        "tls_server_config:\n  SECRET: 1\n",
        "tls_server_config:\n  key: {SECRET: SECRET}\n  cert: [SECRET]\n",
        "tls_server_config:\n  key: SECRET\n  cert: SECRET\n",
        "basic_auth_users:\n  SECRET: SECRET\n",
        "basic_auth_users:\n  a: SECRET\n  a: SECRET\n",
        "basic_auth_users:\n  a: &SECRET SECRET\n  b: *OTHER_SECRET\n",
        "basic_auth_users:\n  a: \"SECRET\n",
        "basic_auth_users:\n  a: SECRET\n b: SECRET: SECRET\n",
        "basic_auth_users:\n  a: !SECRET SECRET\n",
        "rate_limit: {burst: SECRET, interval: SECRET}\n",
        "tls_server_config:\n  cert_file: a\n  key_file: |\n    -----BEGIN PRIVATE KEY-----\n    SECRET\n",
        "tls_server_config:\n  cert_file: a\n  key_file: '-----BEGIN PRIVATE KEY----- SECRET'\n",
        "http_server_config: {http2: SECRET, headers: {SECRET: SECRET}}\n",
        "\tSECRET\n",
        "a: 'SECRET\\'\n%SECRET\n--- SECRET\n--- SECRET\n",
    ] {
        let file = folder.write("web.yml", text);
        let broken = WebConfig::load(&file).expect_err(text);
        assert!(!format!("{broken} {broken:?}").contains("SECRET"), "{text}: {broken}");
    }
}
