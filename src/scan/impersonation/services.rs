//! Services that serve everybody: free mail, free pages, short addresses, search engines. Who is behind one of their names can't
//! be told from the name.

/// Free mail services; domains of one service in many countries are told by their first label.
#[must_use]
pub fn is_freemail(domain: &str) -> bool {
    const DOMAINS: [&str; 44] = [
        "gmail.com",
        "googlemail.com",
        "aol.com",
        "aim.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "msn.com",
        "mail.com",
        "email.com",
        "web.de",
        "t-online.de",
        "freenet.de",
        "mail.ru",
        "bk.ru",
        "inbox.ru",
        "list.ru",
        "rambler.ru",
        "proton.me",
        "pm.me",
        "protonmail.com",
        "tutanota.com",
        "tuta.io",
        "qq.com",
        "foxmail.com",
        "163.com",
        "126.com",
        "sina.com",
        "yeah.net",
        "naver.com",
        "daum.net",
        "hanmail.net",
        "rediffmail.com",
        "ymail.com",
        "rocketmail.com",
        "laposte.net",
        "libero.it",
        "virgilio.it",
        "seznam.cz",
        "wp.pl",
        "o2.pl",
        "interia.pl",
        "inbox.lv",
        "excite.co.jp",
    ];
    const LABELS: [&str; 8] = ["yahoo", "hotmail", "outlook", "live", "gmx", "yandex", "zoho", "zohomail"];
    let label = domain.split('.').next().unwrap_or_default();
    DOMAINS.contains(&domain) || (LABELS.contains(&label) && domain.matches('.').count() <= 2)
}

/// Services where anybody has a page within minutes, by the end of the host.
#[must_use]
pub fn is_free_page(host: &str, url: &str) -> bool {
    const HOSTS: [&str; 62] = [
        "weebly.com",
        "weeblysite.com",
        "wixsite.com",
        "wixstudio.com",
        "pages.dev",
        "workers.dev",
        "r2.dev",
        "web.app",
        "firebaseapp.com",
        "netlify.app",
        "vercel.app",
        "herokuapp.com",
        "glitch.me",
        "000webhostapp.com",
        "github.io",
        "gitlab.io",
        "onrender.com",
        "surge.sh",
        "repl.co",
        "replit.app",
        "replit.dev",
        "fly.dev",
        "webflow.io",
        "square.site",
        "godaddysites.com",
        "myshopify.com",
        "blogspot.com",
        "wordpress.com",
        "webnode.page",
        "webnode.com",
        "jimdosite.com",
        "jimdofree.com",
        "ukit.me",
        "yolasite.com",
        "strikingly.com",
        "mystrikingly.com",
        "carrd.co",
        "framer.app",
        "framer.website",
        "notion.site",
        "typeform.com",
        "jotform.com",
        "ngrok.io",
        "ngrok-free.app",
        "trycloudflare.com",
        "duckdns.org",
        "ddns.net",
        "hopto.org",
        "sytes.net",
        "zapto.org",
        "cprapid.com",
        "plesk.page",
        "translate.goog",
        "ipfs.io",
        "dweb.link",
        "nftstorage.link",
        "fleek.co",
        "azurewebsites.net",
        "blob.core.windows.net",
        "web.core.windows.net",
        "azurefd.net",
        "backblazeb2.com",
    ];
    let below = |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    HOSTS.iter().any(|end| below(end))
        || (below("google.com")
            && (url.contains("docs.google.com/forms")
                || url.contains("sites.google.com/")
                || url.contains("docs.google.com/presentation")))
        || host == "forms.gle"
        || host == "forms.office.com"
        || (host == "storage.googleapis.com" || host == "firebasestorage.googleapis.com")
        || url.contains("/ipfs/")
}

#[must_use]
pub fn is_shortener(domain: &str) -> bool {
    const DOMAINS: [&str; 44] = [
        "bit.ly",
        "tinyurl.com",
        "goo.gl",
        "ow.ly",
        "is.gd",
        "v.gd",
        "buff.ly",
        "cutt.ly",
        "rebrand.ly",
        "shorturl.at",
        "rb.gy",
        "t.ly",
        "tiny.cc",
        "bl.ink",
        "s.id",
        "lnkd.in",
        "qrco.de",
        "qr.io",
        "urlz.fr",
        "shorturl.com",
        "u.to",
        "clck.ru",
        "vk.cc",
        "x.gd",
        "ur0.jp",
        "ux.nu",
        "onl.la",
        "onl.sc",
        "onl.bz",
        "onl.tw",
        "00m.in",
        "bitly.ws",
        "bit.do",
        "short.gy",
        "shrtco.de",
        "linktr.ee",
        "did.li",
        "kutt.it",
        "lihi.cc",
        "reurl.cc",
        "surl.li",
        "tny.sh",
        "han.gl",
        "b.link",
    ];
    DOMAINS.contains(&domain)
}

/// Search engines and translators whose redirects honest mail has no use for.
#[must_use]
pub fn is_search(host: &str, url: &str) -> bool {
    let google = host.starts_with("www.google.") || host.starts_with("google.");
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    (google && (path.starts_with("url?") || path.starts_with("amp/") || path.starts_with("travel/clk")))
        || (host == "www.bing.com" && path.starts_with("ck/"))
        || (host.ends_with("baidu.com") && path.starts_with("link?"))
        || host.ends_with(".translate.goog")
        || host.ends_with("googleadservices.com")
        || host.ends_with("g.doubleclick.net")
        || (host.ends_with("yandex.ru") && path.starts_with("redir"))
}
