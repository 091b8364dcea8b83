//! The way to the server: TCP, TLS where the address says https, HTTP/2.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::config::{AgentConfig, parse_fingerprint};
use crate::error::AgentError;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(10);
/// Where distributions keep the certificates of public authorities.
const HOST_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How to reach the server, checked once at the start.
#[derive(Clone)]
pub(crate) struct Dialer {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// # Errors
    /// `Tls` for certificates that cannot be used. An address that is not valid is `Config`.
    pub(crate) fn new(config: &AgentConfig) -> Result<Self, AgentError> {
        let uri: Uri = config.server.parse().map_err(|_| AgentError::Config(config.problems()))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => Some(Arc::new(tls_config(config)?)),
            _ => None,
        };
        let loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if tls.is_none() && !loopback {
            tracing::warn!("the connection to the server is not encrypted: its address begins with http://");
        }
        let port = uri.port_u16().unwrap_or(9701);
        Ok(Self { host, port, tls })
    }

    /// The server's address, if its name can be resolved now.
    pub(crate) async fn address(&self) -> Option<SocketAddr> {
        tokio::net::lookup_host((self.host.as_str(), self.port)).await.ok()?.next()
    }

    pub(crate) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        // What goes over the wire is this connector's business; to tonic it is plain.
        let authority = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let endpoint = Endpoint::from_shared(format!("http://{authority}:{}", self.port))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true);
        let dialer = self.clone();
        endpoint
            .connect_with_connector(tower::service_fn(move |_: Uri| {
                let dialer = dialer.clone();
                async move { dialer.dial().await }
            }))
            .await
    }

    async fn dial(&self) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(TokioIo::new(Box::new(stream))) };
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await?;
        Ok(TokioIo::new(Box::new(stream)))
    }
}

/// A connection, encrypted or not.
pub(crate) trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

fn tls_config(config: &AgentConfig) -> Result<ClientConfig, AgentError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match config.fingerprint.as_deref().and_then(parse_fingerprint) {
        Some(fingerprint) => Arc::new(Pinned { fingerprint, provider: provider.clone() }),
        None => {
            let roots = Arc::new(roots(config.ca_file.as_deref())?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            let chain = chain.map_err(|error| AgentError::Tls(error.to_string()))?;
            Arc::new(Explained { chain })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AgentError::Tls(error.to_string()))?;
    let mut tls = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, AgentError> {
    let path = ca_file
        .or_else(|| HOST_CERTIFICATES.iter().map(Path::new).find(|path| path.exists()))
        .ok_or_else(|| AgentError::Tls("this host has no certificates of authorities; give --ca-file".into()))?;
    let broken = |why: String| AgentError::Tls(format!("{}: {why}", path.display()));
    let pem = fs::read(path).map_err(|error| broken(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        let added = roots.add(certificate);
        // A host's bundle may hold ones that are not understood; a file given for the purpose may not.
        if let (Err(error), true) = (added, ca_file.is_some()) {
            return Err(broken(error.to_string()));
        }
    }
    if roots.is_empty() {
        return Err(broken("holds no certificate in PEM form".into()));
    }
    Ok(roots)
}

fn fingerprint_of(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate.as_ref()).into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Trusts one certificate, whoever signed it.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = fingerprint_of(end_entity);
        if presented == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General(format!(
            "the server's certificate is not the pinned one: its fingerprint is sha256:{}. If it was renewed, \
             start the agent with the new --fingerprint",
            hexadecimal(&presented)
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies as usual, and says in a refusal what would help.
#[derive(Debug)]
struct Explained {
    chain: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Explained {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|error| {
            rustls::Error::General(format!(
                "the server's certificate is not trusted ({error}). Give the authority's certificate with --ca-file, \
                 or, after comparing it on the server, --fingerprint sha256:{}",
                hexadecimal(&fingerprint_of(end_entity))
            ))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
