//! Just enough of an SMTP server (RFC 5321) to receive mail on loopback: no TLS, no authentication,
//! every address accepted.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::mail::readable;
use super::{Channel, Received, Sender};

const MAX_LINE_BYTES: u64 = 64 << 10;
const MAX_MAIL_BYTES: usize = 1 << 20;
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn serve(listener: TcpListener, received: Sender, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else { continue };
        let (received, stop) = (received.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = tokio::time::timeout(IDLE, converse(stream, received)) => {
                    if let Ok(Err(error)) = ended {
                        eprintln!("a connection to the local mail server broke: {error}");
                    }
                }
            }
        });
    }
}

async fn converse(stream: TcpStream, received: Sender) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 localhost ready\r\n").await?;
    let mut recipients = Vec::new();
    loop {
        let Some(line) = read_line(&mut stream).await? else { return Ok(()) };
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-localhost\r\n250 8BITMIME",
            "HELO" | "NOOP" => "250 ok",
            "MAIL" | "RSET" => {
                recipients.clear();
                "250 ok"
            }
            "RCPT" => {
                recipients.push(line.split_once(':').map_or("", |(_, address)| address.trim()).to_owned());
                "250 ok"
            }
            "DATA" if recipients.is_empty() => "503 name a recipient first",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let Some(mail) = read_mail(&mut stream).await? else { return Ok(()) };
                let text = format!("To: {}\n{}", recipients.join(", "), readable(&mail));
                let verified = Ok("accepted by the mail server".to_owned());
                received.send(Received { channel: Channel::Email, verified, text }).await.ok();
                recipients.clear();
                "250 queued"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not known here",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut mail = String::new();
    while let Some(line) = read_line(stream).await? {
        if line == "." {
            return Ok(Some(mail));
        }
        if mail.len() < MAX_MAIL_BYTES {
            // A leading dot is doubled on the way.
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.push('\n');
        }
    }
    Ok(None)
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream.take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    let text = String::from_utf8_lossy(&line);
    Ok((read > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}
