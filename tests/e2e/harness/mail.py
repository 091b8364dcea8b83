"""An SMTP server on loopback (aiosmtpd): PORT FILE; each mail is a line of JSON in FILE."""
import email, email.policy, json, sys, time
from aiosmtpd.controller import Controller


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(preferencelist=("plain", "html"))
        line = json.dumps({"to": envelope.rcpt_tos, "from": envelope.mail_from, "subject": str(mail["subject"]),
                           "message_id": str(mail["message-id"]), "text": body.get_content() if body else ""})
        with open(sys.argv[2], "a") as file:
            file.write(line + "\n")
        return "250 queued"


controller = Controller(Handler(), hostname="127.0.0.1", port=int(sys.argv[1]))
controller.start()
while True:
    time.sleep(3600)
