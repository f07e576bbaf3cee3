//! Handshakes in memory between the listener's and the upstream's configuration, on certificates made here.

use super::client::{client, server_name};
use super::server::{ServerTls, server};
use super::{CertificateSet, CertificateWarning, TlsError};
use headgate_model::spec::{Certificate, ClientAuth, ListenTls, Protocol, UpstreamTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, ServerConnection};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn server_name_selects_exact_before_wildcard_before_first() {
    let lab = Lab::new();
    let certificates = vec![
        lab.certificate("default", &["default.test"]),
        lab.certificate("wild", &["*.Shop.test"]),
        lab.certificate("exact", &["api.shop.test", "shop.test"]),
    ];
    let set = CertificateSet::load(&certificates).unwrap();
    let index_of = |name: Option<&str>| {
        let chosen = set.choose(name, &[]).cert[0].clone();
        certificates.iter().position(|pair| leaf(pair) == chosen.to_vec()).unwrap()
    };
    let cases = [
        (Some("api.shop.test"), 2),
        (Some("API.Shop.TEST"), 2),
        (Some("api.shop.test."), 2),
        (Some("shop.test"), 2),
        (Some("img.shop.test"), 1),
        (Some("IMG.shop.test"), 1),
        (Some("a.img.shop.test"), 0),
        (Some("notshop.test"), 0),
        (Some("test"), 0),
        (Some(""), 0),
        (None, 0),
    ];
    for (name, expected) in cases {
        assert_eq!(index_of(name), expected, "{name:?}");
    }
    assert!(set.warnings().is_empty(), "{:?}", set.warnings());
}

#[test]
fn a_verifying_client_is_served_the_certificate_for_its_name() {
    let lab = Lab::new();
    let pairs = vec![lab.certificate("a", &["a.test"]), lab.certificate("b", &["*.b.test"])];
    let tls = server(&listen(pairs), false).unwrap();
    let config = client(&lab.upstream(), Protocol::Http1).unwrap();
    for name in ["a.test", "x.b.test"] {
        shake(&tls, &config, name).unwrap();
    }
    // The default certificate is for a.test only: a client that checks refuses it.
    assert!(shake(&tls, &config, "x.y.b.test").is_err());
}

#[test]
fn of_two_certificates_for_a_name_the_client_gets_one_it_can_verify() {
    let lab = Lab::new();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let pairs = vec![lab.issue("p384", params, p384), lab.certificate("p256", &["a.test"])];
    let set = CertificateSet::load(&pairs).unwrap();
    let chosen = |scheme| set.choose(Some("a.test"), &[scheme]).cert[0].to_vec();
    assert_eq!(chosen(rustls::SignatureScheme::ECDSA_NISTP384_SHA384), leaf(&pairs[0]));
    assert_eq!(chosen(rustls::SignatureScheme::ECDSA_NISTP256_SHA256), leaf(&pairs[1]));
    assert_eq!(chosen(rustls::SignatureScheme::ED25519), leaf(&pairs[0]));
}

#[test]
fn client_certificates_are_demanded_or_only_checked() {
    let lab = Lab::new();
    let stranger = Lab::new();
    let mut spec = listen(vec![lab.certificate("a", &["a.test"])]);
    spec.client_ca = Some(lab.ca_file());
    let anonymous = client(&lab.upstream(), Protocol::Http1).unwrap();
    let with = |pair: Certificate| {
        let spec = UpstreamTls { cert: Some(pair.cert), key: Some(pair.key), ..lab.upstream() };
        client(&spec, Protocol::Http1).unwrap()
    };
    let known = with(lab.certificate("client", &["client.test"]));
    let unknown = with(stranger.certificate("client", &["client.test"]));

    let required = server(&spec, false).unwrap();
    assert!(shake(&required, &anonymous, "a.test").is_err());
    assert!(shake(&required, &unknown, "a.test").is_err());
    assert!(shake(&required, &known, "a.test").unwrap().server.peer_certificates().is_some());

    spec.client_auth = ClientAuth::Optional;
    let optional = server(&spec, false).unwrap();
    assert!(shake(&optional, &anonymous, "a.test").unwrap().server.peer_certificates().is_none());
    assert!(shake(&optional, &unknown, "a.test").is_err());
    assert!(shake(&optional, &known, "a.test").unwrap().server.peer_certificates().is_some());
}

#[test]
fn a_minimum_version_is_kept() {
    let lab = Lab::new();
    let mut spec = listen(vec![lab.certificate("a", &["a.test"])]);
    let modern = client(&lab.upstream(), Protocol::Http1).unwrap();
    let old = lab.tls12_client();

    let both = server(&spec, false).unwrap();
    assert_eq!(version(&shake(&both, &modern, "a.test").unwrap()), ProtocolVersion::TLSv1_3);
    assert_eq!(version(&shake(&both, &old, "a.test").unwrap()), ProtocolVersion::TLSv1_2);

    spec.min_version = Some("1.3".to_owned());
    let strict = server(&spec, false).unwrap();
    assert!(shake(&strict, &old, "a.test").is_err());
    assert!(shake(&strict, &modern, "a.test").is_ok());

    spec.min_version = Some("1.1".to_owned());
    let error = server(&spec, false).unwrap_err().to_string();
    assert!(error.contains("`1.1`") && error.contains("\"1.2\" or \"1.3\""), "{error}");
}

/// rustls takes the certificate of a resumed session as it was, whatever has become of it since.
#[test]
fn where_certificates_are_asked_for_each_handshake_verifies_them() {
    let lab = Lab::new();
    let mut spec = listen(vec![lab.certificate("a", &["a.test"])]);
    spec.client_ca = Some(lab.ca_file());
    let pair = lab.certificate("client", &["client.test"]);
    let upstream = UpstreamTls { cert: Some(pair.cert), key: Some(pair.key), ..lab.upstream() };
    let modern = client(&upstream, Protocol::Http1).unwrap();
    for auth in [ClientAuth::Required, ClientAuth::Optional] {
        spec.client_auth = auth;
        let tls = server(&spec, false).unwrap();
        for _ in 0..3 {
            let kind = shake(&tls, &modern, "a.test").unwrap().server.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    }
    let tls = server(&spec, false).unwrap();
    let old = lab.tls12_client();
    for _ in 0..3 {
        let kind = shake(&tls, &old, "a.test").unwrap().server.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
    }
}

#[test]
fn the_second_handshake_resumes_the_first() {
    let lab = Lab::new();
    let tls = server(&listen(vec![lab.certificate("a", &["a.test"])]), true).unwrap();
    let by_session_id = Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
    let mut without_tickets = (*lab.tls12_client()).clone();
    without_tickets.resumption = by_session_id;
    let expected = [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed].map(Some);
    let kinds = |tls: &ServerTls, config: &Arc<ClientConfig>| {
        [(); 3].map(|()| shake(tls, config, "a.test").unwrap().server.handshake_kind())
    };
    assert_eq!(kinds(&tls, &Arc::new(without_tickets)), expected);

    // Who takes tickets costs the listener no memory.
    let mut forgetful = (*tls.config).clone();
    forgetful.session_storage = Arc::new(NoServerSessionStorage {});
    let forgetful = ServerTls { config: Arc::new(forgetful), ..tls };
    for config in [client(&lab.upstream(), Protocol::Http2).unwrap(), lab.tls12_client()] {
        assert_eq!(kinds(&forgetful, &config), expected);
    }
}

#[test]
fn a_session_of_another_listener_is_not_resumed() {
    let lab = Lab::new();
    let spec = listen(vec![lab.certificate("a", &["a.test"])]);
    let config = client(&lab.upstream(), Protocol::Http1).unwrap();
    shake(&server(&spec, false).unwrap(), &config, "a.test").unwrap();
    let other = shake(&server(&spec, false).unwrap(), &config, "a.test").unwrap();
    assert_eq!(other.server.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn alpn_agrees_on_what_both_speak() {
    let lab = Lab::new();
    let spec = listen(vec![lab.certificate("a", &["a.test"])]);
    let agreed = |http2, config| {
        let pair = shake(&server(&spec, http2).unwrap(), config, "a.test").ok()?;
        pair.server.alpn_protocol().map(<[u8]>::to_vec)
    };
    let [h1, h2] = [Protocol::Http1, Protocol::Http2].map(|speaks| client(&lab.upstream(), speaks).unwrap());
    assert_eq!(agreed(true, &h2).as_deref(), Some(&b"h2"[..]));
    assert_eq!(agreed(true, &h1).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(false, &h1).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(false, &h2), None);
}

#[test]
fn key_exchange_is_led_by_the_hybrid_group() {
    let lab = Lab::new();
    let tls = server(&listen(vec![lab.certificate("a", &["a.test"])]), false).unwrap();
    let pair = shake(&tls, &client(&lab.upstream(), Protocol::Http1).unwrap(), "a.test").unwrap();
    let group = pair.server.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn a_replaced_certificate_is_served_and_a_broken_one_is_not() {
    let lab = Lab::new();
    let pair = lab.certificate("a", &["a.test"]);
    let tls = server(&listen(vec![pair.clone()]), false).unwrap();
    let served = || {
        let config = client(&lab.upstream(), Protocol::Http1).unwrap();
        let pair = shake(&tls, &config, "a.test").unwrap();
        pair.client.peer_certificates().unwrap()[0].to_vec()
    };
    assert!(!tls.certificates.changed());
    let old = served();

    lab.certificate("a", &["a.test"]);
    assert!(tls.certificates.changed());
    assert_eq!(served(), old);
    tls.certificates.reload().unwrap();
    assert!(!tls.certificates.changed());
    let new = served();
    assert_ne!(new, old);
    assert_eq!(new, leaf(&pair));

    std::fs::write(&pair.key, "half a fi").unwrap();
    assert!(tls.certificates.changed());
    assert!(matches!(tls.certificates.reload(), Err(TlsError::NoKey { .. })));
    assert!(!tls.certificates.changed());
    assert_eq!(served(), new);

    std::fs::remove_file(&pair.key).unwrap();
    assert!(tls.certificates.changed());
}

#[test]
fn bad_files_are_named_with_the_remedy() {
    let lab = Lab::new();
    let good = lab.certificate("good", &["a.test"]);
    let other = lab.certificate("other", &["a.test"]);
    let missing = lab.path("missing.pem");
    let garbage = lab.write("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
    let noise = lab.write("noise.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let empty = lab.write("empty.pem", "");
    let pair = |cert: &str, key: &str| Certificate { cert: cert.to_owned(), key: key.to_owned() };
    let cases = [
        (pair(&missing, &good.key), &missing, "cannot read"),
        (pair(&garbage, &good.key), &garbage, "is not PEM"),
        (pair(&noise, &good.key), &noise, "cannot be used"),
        (pair(&empty, &good.key), &empty, "no certificate found"),
        (pair(&good.key, &good.key), &good.key, "no certificate found"),
        (pair(&good.cert, &good.cert), &good.cert, "no private key found"),
        (pair(&good.cert, &other.key), &other.key, "does not match the certificate"),
    ];
    for (certificate, file, words) in cases {
        let error = CertificateSet::load(&[certificate]).unwrap_err().to_string();
        assert!(error.contains(file.as_str()) && error.contains(words), "{error}");
    }
    assert!(matches!(CertificateSet::load(&[]), Err(TlsError::NoCertificatesConfigured)));

    let half = UpstreamTls { cert: Some(good.cert), ..UpstreamTls::default() };
    assert!(matches!(client(&half, Protocol::Http1), Err(TlsError::HalfClientCertificate)));
    let no_ca = UpstreamTls { ca: Some(empty.clone()), ..UpstreamTls::default() };
    assert!(client(&no_ca, Protocol::Http1).unwrap_err().to_string().contains(&empty));
}

#[test]
fn doubtful_certificates_are_served_with_a_warning() {
    let lab = Lab::new();
    let warning = |change: &dyn Fn(&mut CertificateParams), names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let pair = lab.issue("doubtful", params, KeyPair::generate().unwrap());
        let set = CertificateSet::load(std::slice::from_ref(&pair)).unwrap();
        (pair.cert, set.warnings().to_vec())
    };
    let (file, found) = warning(&|params| params.not_after = date_time_ymd(2020, 1, 1), &["a.test"]);
    let [CertificateWarning::Expired { file: named, days_ago }] = &found[..] else { panic!("{found:?}") };
    assert!(*named == file && *days_ago > 2_000, "{found:?}");

    let (_, found) = warning(&|params| params.not_before = date_time_ymd(3000, 1, 1), &["a.test"]);
    assert!(matches!(found[..], [CertificateWarning::NotYetValid { .. }]), "{found:?}");

    let client_only = rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    let (_, found) = warning(&|params| params.extended_key_usages = vec![client_only.clone()], &["a.test"]);
    assert!(matches!(found[..], [CertificateWarning::NotForServers { .. }]), "{found:?}");

    let (file, found) = warning(&|_| {}, &[]);
    assert_eq!(found, [CertificateWarning::NoNames { file }]);
}

#[test]
fn an_upstream_is_verified_unless_told_otherwise() {
    let lab = Lab::new();
    let tls = server(&listen(vec![lab.certificate("a", &["a.test", "10.0.0.1"])]), false).unwrap();
    let trusting = |spec: UpstreamTls| client(&spec, Protocol::Http1).unwrap();
    let public = trusting(UpstreamTls::default());
    assert!(shake(&tls, &public, "a.test").is_err());
    let own = trusting(lab.upstream());
    assert!(shake(&tls, &own, "a.test").is_ok());
    assert!(shake(&tls, &own, "10.0.0.1").is_ok());
    assert!(shake(&tls, &own, "other.test").is_err());
    assert!(shake(&tls, &own, "10.0.0.2").is_err());
    let blind = trusting(UpstreamTls { verify: false, ..UpstreamTls::default() });
    assert!(shake(&tls, &blind, "other.test").is_ok());
}

#[test]
fn the_server_name_is_the_override_or_the_host() {
    let plain = UpstreamTls::default();
    let shown =
        |spec: &UpstreamTls, host: &str| server_name(spec, host).map(|name| name.to_str().into_owned());
    assert_eq!(shown(&plain, "a.test").unwrap(), "a.test");
    assert_eq!(shown(&plain, "10.0.0.1").unwrap(), "10.0.0.1");
    assert_eq!(shown(&plain, "::1").unwrap(), "::1");
    assert_eq!(shown(&plain, "[::1]").unwrap(), "::1");
    let named = UpstreamTls { sni: Some("b.test".to_owned()), ..UpstreamTls::default() };
    assert_eq!(shown(&named, "10.0.0.1").unwrap(), "b.test");
    for bad in ["", "a b", "[a.test]", "a.test:443"] {
        assert!(matches!(shown(&plain, bad), Err(TlsError::BadServerName(name)) if name == bad), "{bad}");
    }
}

/// A directory of its own with an authority in it.
struct Lab {
    directory: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Lab {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("headgate-tls-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {count}"));
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let lab = Self { directory, ca };
        lab.write("ca.pem", &lab.ca.pem());
        lab
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn ca_file(&self) -> String {
        self.path("ca.pem")
    }

    fn certificate(&self, file: &str, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.issue(file, CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap())
    }

    fn issue(&self, file: &str, params: CertificateParams, key: KeyPair) -> Certificate {
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        Certificate {
            cert: self.write(&format!("{file}.pem"), &certificate.pem()),
            key: self.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    fn upstream(&self) -> UpstreamTls {
        UpstreamTls { ca: Some(self.ca_file()), ..UpstreamTls::default() }
    }

    fn tls12_client(&self) -> Arc<ClientConfig> {
        let roots = super::server::authorities(&self.ca_file()).unwrap();
        let builder = ClientConfig::builder_with_provider(super::provider());
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn listen(certificates: Vec<Certificate>) -> ListenTls {
    ListenTls { certificates, ..ListenTls::default() }
}

fn leaf(pair: &Certificate) -> Vec<u8> {
    super::certificates::read_chain(&pair.cert).unwrap()[0].to_vec()
}

fn version(pair: &Pair) -> ProtocolVersion {
    pair.server.protocol_version().unwrap()
}

struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

/// Carries bytes both ways until the handshake is over and the tickets have arrived.
fn shake(tls: &ServerTls, config: &Arc<ClientConfig>, name: &str) -> Result<Pair, rustls::Error> {
    let name = server_name(&UpstreamTls::default(), name).unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name)?;
    let mut server = ServerConnection::new(Arc::clone(&tls.config))?;
    while client.wants_write() || server.wants_write() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Pair { client, server })
}
