//! TLS as a server: certificates from PEM files, swapped on reload; client certificates asked for where they may identify a
//! tenant's server.
//!
//! **Failure**: files that can't be read or don't fit are errors at start and at reload (the running ones stay); a failed
//! handshake ends that connection only.
//! **Invariants**: each listener has its own `ServerConfig`, and with it its own session store, so that no ticket of one
//! listener opens another (reliability row SEC-T03).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::model::TlsFacts;

/// Where the certificate chain and its key are, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Whether a client may identify itself by certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    Ignored,
    /// Asked for, not demanded; any issuer, because the tenant's settings name the certificate by its SHA-256.
    Asked,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {reason}", path = .path.display())]
    File { path: PathBuf, reason: String },
    #[error("certificate {path} and its key don't fit: {source}", path = .path.display())]
    Pair { path: PathBuf, source: rustls::Error },
}

/// A certificate that was read and fits its key.
#[derive(Debug)]
pub struct Certificate(Arc<ServerConfig>);

/// The certificate of one listener, replaceable while connections run.
#[derive(Debug)]
pub struct ServerTls {
    clients: ClientCertificates,
    config: ArcSwap<ServerConfig>,
}

impl ServerTls {
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn load(files: &CertificateFiles, clients: ClientCertificates) -> Result<Arc<Self>, TlsError> {
        let config = ArcSwap::from_pointee(build(files, clients)?);
        Ok(Arc::new(Self { clients, config }))
    }

    /// Reads the files, without putting them to use.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn read(&self, files: &CertificateFiles) -> Result<Certificate, TlsError> {
        build(files, self.clients).map(|config| Certificate(Arc::new(config)))
    }

    /// Handshakes from now on use it.
    pub fn replace(&self, certificate: Certificate) {
        self.config.store(certificate.0);
    }

    /// Runs the handshake; the caller sets the time limit.
    ///
    /// # Errors
    /// As the handshake says.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, TlsFacts)> {
        let stream = TlsAcceptor::from(self.config.load_full()).accept(stream).await?;
        let facts = facts(&stream);
        Ok((stream, facts))
    }
}

fn facts(stream: &TlsStream<TcpStream>) -> TlsFacts {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(|der| fingerprint(der));
    TlsFacts {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
            other => format!("{other:?}").into(),
        },
        cipher: session.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite())).unwrap_or_default().into(),
        client_certificate: certificate,
    }
}

/// SHA-256 in lower-case hex, as `openssl x509 -fingerprint -sha256` gives it without the colons.
#[must_use]
pub fn fingerprint(der: &[u8]) -> Box<str> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn build(files: &CertificateFiles, clients: ClientCertificates) -> Result<ServerConfig, TlsError> {
    let chain = read_chain(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::File { path: files.key.clone(), reason: error.to_string() })?;
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let pair = |source| TlsError::Pair { path: files.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Asked => builder.with_client_cert_verifier(Arc::new(AnyCertificate { algorithms })),
    };
    builder.with_single_cert(chain, key).map_err(pair)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|e| error(e.to_string()))?.collect();
    let chain = chain.map_err(|e| error(e.to_string()))?;
    if chain.is_empty() { Err(error("no certificate in it".into())) } else { Ok(chain) }
}

/// The one provider of this program.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Takes any certificate whose key the client proves to hold: the fingerprint is what tenants register.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn offer_client_auth(&self) -> bool {
        true
    }
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
