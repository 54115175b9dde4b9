//! The sample mail of the demonstration, written for it.

/// One message to send.
#[derive(Debug, Clone, Copy)]
pub struct Letter {
    pub what: &'static str,
    pub way: Way,
    pub from: &'static str,
    pub to: &'static str,
    pub message: &'static [u8],
}

/// Which listener it is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

pub const LETTERS: [Letter; 10] = [
    Letter {
        what: "a clean message",
        way: Way::In,
        from: "hanako@customer.example",
        to: "taro@acme.example",
        message: b"From: Hanako <hanako@customer.example>\r\nTo: taro@acme.example\r\nSubject: Thursday\r\n\
            Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <1@customer.example>\r\n\r\n\
            Thursday at ten suits us well.\r\n..and a line that begins with dots.\r\n",
    },
    Letter {
        what: "Japanese mail (ISO-2022-JP)",
        way: Way::In,
        from: "tanaka@customer.example",
        to: "taro@acme.example",
        message: b"From: tanaka@customer.example\r\nTo: taro@acme.example\r\n\
            Subject: =?ISO-2022-JP?B?GyRCTWg9NSROQkckQTlnJG8kOyRLJEQkJCRGGyhC?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\
            Date: Fri, 20 Nov 2026 09:01:00 +0900\r\nMessage-ID: <2@customer.example>\r\n\r\n\
            \x1b$BNkLZMM\x1b(B\r\n\r\n\
            \x1b$BMh=5$NBG$A9g$o$;$O2PMKF|$N8a8eFs;~$+$i$G$*4j$$$$$?$7$^$9!#\x1b(B\r\n",
    },
    Letter {
        what: "a message with an attachment",
        way: Way::In,
        from: "hanako@customer.example",
        to: "jiro@acme.example",
        message:
            b"From: hanako@customer.example\r\nTo: jiro@acme.example\r\nSubject: The list\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=\"edge\"\r\nDate: Fri, 20 Nov 2026 09:02:00 +0900\r\n\
            Message-ID: <3@customer.example>\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\nHere it is.\r\n\
            --edge\r\nContent-Type: text/csv; name=\"list.csv\"\r\n\
            Content-Disposition: attachment; filename=\"list.csv\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            aXRlbSxjb3VudApib2x0LDEyCm51dCwyNAo=\r\n--edge--\r\n",
    },
    Letter {
        what: "mail to nobody",
        way: Way::In,
        from: "hanako@customer.example",
        to: "saburo@acme.example",
        message:
            b"From: hanako@customer.example\r\nTo: saburo@acme.example\r\nSubject: Are you there?\r\n\r\nHello?\r\n",
    },
    Letter {
        what: "a bank that proves who it is (SPF, DMARC)",
        way: Way::In,
        from: "news@bank.example",
        to: "taro@acme.example",
        message: b"From: Bank <news@bank.example>\r\nTo: taro@acme.example\r\nSubject: Your statement\r\n\
            Date: Fri, 20 Nov 2026 09:03:00 +0900\r\nMessage-ID: <5@bank.example>\r\n\r\nIt is in your mailbox online.\r\n",
    },
    Letter {
        what: "somebody who only says that he is the bank",
        way: Way::In,
        from: "bounce@cheap.example",
        to: "taro@acme.example",
        message: b"From: Bank <news@bank.example>\r\nTo: taro@acme.example\r\nSubject: Urgent\r\n\
            Date: Fri, 20 Nov 2026 09:04:00 +0900\r\nMessage-ID: <6@cheap.example>\r\n\r\nSend us your password.\r\n",
    },
    Letter {
        what: "outbound mail",
        way: Way::Out,
        from: "taro@acme.example",
        to: "hanako@customer.example",
        message: b"From: taro@acme.example\r\nTo: hanako@customer.example\r\nSubject: Re: Thursday\r\n\
            Date: Fri, 20 Nov 2026 09:05:00 +0900\r\nMessage-ID: <4@acme.example>\r\n\r\nSee you then.\r\n",
    },
    Letter {
        what: "phishing, in the name of a shop",
        way: Way::In,
        from: "service@cheap.example",
        to: "taro@acme.example",
        message: b"From: \"Amazon.co.jp\" <service@cheap.example>\r\nTo: taro@acme.example\r\n\
            Subject: =?UTF-8?B?44CQ6YeN6KaB44CR44GK5a6i5qeY44Gu44Ki44Kr44Km44Oz44OI44GM5LiA5pmC5YGc5q2i44GV44KM44G+44GX44Gf?=\r\n\
            Date: Fri, 20 Nov 2026 09:06:00 +0900\r\nMessage-ID: <7@cheap.example>\r\nMIME-Version: 1.0\r\n\
            Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            PHA+44GK5a6i5qeY44GuQW1hem9u44Ki44Kr44Km44Oz44OI44Gn55Ww5bi444Gq44Ot44Kw44Kk\r\n\
            44Oz44GM5qSc5Ye644GV44KM44G+44GX44Gf44CCMjTmmYLplpPku6XlhoXjgavjgZTnorroqo3j\r\n\
            gYTjgZ/jgaDjgZHjgarjgYTloLTlkIjjgIHjgqLjgqvjgqbjg7Pjg4jjga/lgZzmraLjgZXjgozj\r\n\
            gb7jgZnjgII8L3A+PHA+PGEgaHJlZj0iaHR0cDovLzIwMy4wLjExMy43L2FtYXpvbi5jby5qcC9z\r\n\
            aWduaW4iPmh0dHBzOi8vd3d3LmFtYXpvbi5jby5qcC9zaWduaW48L2E+PC9wPg==\r\n",
    },
    // A ZIP made for it: the test file of virus scanners, encrypted; the text names the password.
    Letter {
        what: "a virus in an encrypted ZIP, the password in the text (ISO-2022-JP)",
        way: Way::In,
        from: "keiri@customer.example",
        to: "jiro@acme.example",
        message: b"From: keiri@customer.example\r\nTo: jiro@acme.example\r\n\
            Subject: =?ISO-2022-JP?B?GyRCQEE1YT1xJE5Bd0lVGyhC?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=\"edge\"\r\nDate: Fri, 20 Nov 2026 09:07:00 +0900\r\n\
            Message-ID: <8@customer.example>\r\n\r\n--edge\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\
            \x1b$B@A5a=q$rAwIU$$$?$7$^$9!#\x1b(BZIP\x1b$B%U%!%$%k$N%Q%9%o!<%I$O\x1b(B Kumo-2026 \x1b$B$G$9!#\x1b(B\r\n\
            --edge\r\nContent-Type: application/zip; name=\"invoice.zip\"\r\n\
            Content-Disposition: attachment; filename=\"invoice.zip\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            UEsDBAoACQAAANlrd108z1FoUAAAAEQAAAALAAAAaW52b2ljZS5jb209lJ8glnSPqXPBb7Tp3zBc\r\n\
            e7WImppOSoGPY+uPLAKZgkdEd1+8CWb6hnF+37K7vUtjOM1IOdoBNQ6awOjQsLHrRD3M8VQkuSYS\r\n\
            WebpQHiqfVBLBwg8z1FoUAAAAEQAAABQSwECHgMKAAkAAADZa3ddPM9RaFAAAABEAAAACwAAAAAA\r\n\
            AAABAAAApIEAAAAAaW52b2ljZS5jb21QSwUGAAAAAAEAAQA5AAAAiQAAAAAA\r\n\
            --edge--\r\n",
    },
    Letter {
        what: "a virus from the tenant's own server",
        way: Way::Out,
        from: "taro@acme.example",
        to: "hanako@customer.example",
        message: b"From: taro@acme.example\r\nTo: hanako@customer.example\r\nSubject: The order\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=\"edge\"\r\nDate: Fri, 20 Nov 2026 09:08:00 +0900\r\n\
            Message-ID: <9@acme.example>\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\nAs agreed.\r\n\
            --edge\r\nContent-Type: application/octet-stream; name=\"order.com\"\r\n\
            Content-Disposition: attachment; filename=\"order.com\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJ\
            Q0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=\r\n--edge--\r\n",
    },
];
