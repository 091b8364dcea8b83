//! Mail over SMTP. The message's id follows from the notification's, so that a mail server or reader
//! can tell a second delivery of one notification.

use std::time::{Duration, SystemTime};

use lettre::address::AddressError;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use nightjar_model::Timestamp;
use nightjar_model::kinds::email_server::{EmailServerSpec, EmailTls};

use super::{Outcome, shortened};

pub(super) struct Mail<'a> {
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) text: &'a str,
    pub(super) html: &'a str,
    /// The notification's.
    pub(super) id: &'a str,
    pub(super) now: Timestamp,
}

pub(super) async fn send(server: &EmailServerSpec, mail: &Mail<'_>, timeout: Duration) -> Result<Outcome, Outcome> {
    let message = message(server, mail)?;
    let transport = transport(server, timeout)?;
    match transport.send(message).await {
        Ok(response) => {
            let said: Vec<&str> = response.message().collect();
            Ok(Outcome::Sent(format!("{} {}", response.code(), shortened(&said.join(" ")))))
        }
        Err(error) => Err(failure(&error)),
    }
}

fn message(server: &EmailServerSpec, mail: &Mail<'_>) -> Result<Message, Outcome> {
    let from: Mailbox = server.from.parse().map_err(|e: AddressError| refused("the server's `from`", &e))?;
    let to: Mailbox = mail.to.parse().map_err(|e: AddressError| refused("the address", &e))?;
    let domain = from.email.domain().to_owned();
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(mail.now.millis()).unwrap_or(0));
    Message::builder()
        .from(from)
        .to(to)
        .date(date)
        .subject(mail.subject)
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        .multipart(MultiPart::alternative_plain_html(mail.text.to_owned(), mail.html.to_owned()))
        .map_err(|error| Outcome::Refused(format!("the mail cannot be built: {error}")))
}

fn refused(what: &str, error: &AddressError) -> Outcome {
    Outcome::Refused(format!("{what} is not a mail address: {error}"))
}

fn transport(server: &EmailServerSpec, timeout: Duration) -> Result<AsyncSmtpTransport<Tokio1Executor>, Outcome> {
    let tls = match server.tls {
        EmailTls::None => Tls::None,
        EmailTls::Starttls => Tls::Required(tls(server)?),
        EmailTls::Tls => Tls::Wrapper(tls(server)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port())
        .timeout(Some(timeout))
        .tls(tls);
    if !server.username.is_empty() {
        builder = builder.credentials(Credentials::new(server.username.clone(), server.password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn tls(server: &EmailServerSpec) -> Result<TlsParameters, Outcome> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.ca {
        let ca = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| Outcome::retry(format!("the email server's `ca` is not a PEM certificate: {error}")))?;
        builder = builder.add_root_certificate(ca);
    }
    builder.build().map_err(|error| Outcome::retry(format!("TLS cannot be set up: {error}")))
}

/// A permanent answer about this message is final. One about logging in is not: the server's password
/// may be put right while the message waits.
fn failure(error: &lettre::transport::smtp::Error) -> Outcome {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = inner.source();
    }
    let reason = shortened(&reason);
    let code = error.status().map(|code| code.to_string());
    let about_login = matches!(code.as_deref(), Some("530" | "534" | "535" | "538"));
    if error.is_permanent() && !about_login { Outcome::Refused(reason) } else { Outcome::retry(reason) }
}
