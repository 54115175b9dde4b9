//! Certificates made on the spot and client settings that believe anything: the tests look at SMTP, not at PKI.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};

/// A self-signed certificate and its key as PEM files.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key` into `dir`.
    pub fn create(dir: &Path, name: &str) -> Self {
        let made =
            rcgen::generate_simple_self_signed(vec![name.to_owned(), "localhost".to_owned()]).expect("a certificate");
        let this = Self { certificate: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
        std::fs::write(&this.certificate, made.cert.pem()).expect("write the certificate");
        std::fs::write(&this.key, made.signing_key.serialize_pem()).expect("write the key");
        this
    }

    fn load(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_file_iter(&self.certificate).expect("the certificate");
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("the key");
        (chain.map(|certificate| certificate.expect("a certificate")).collect(), key)
    }

    /// SHA-256 of the certificate, in hexadecimal: what a tenant file names a client certificate by.
    pub fn fingerprint(&self) -> String {
        super::sha256(self.load().0[0].as_ref())
    }

    pub fn server_config(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.load();
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().expect("TLS versions");
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a server configuration"))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Verifies nothing; shows `identity` if there is one.
pub fn client_config(identity: Option<&Identity>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().expect("TLS versions");
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(BelievesAnything));
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.load();
            builder.with_client_auth_cert(chain, key).expect("a client certificate")
        }
    })
}

#[derive(Debug)]
struct BelievesAnything;

impl ServerCertVerifier for BelievesAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &aws_lc_rs::default_provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &aws_lc_rs::default_provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
