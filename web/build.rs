//! Makes sure that there is a console to embed: the built one, or a page that says how to build it.

use std::path::Path;

const HINT: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Nightjar</title></head>
<body><h1>Nightjar</h1>
<p>This binary was built without the console. Build it with <code>make console</code>, then build the server again.</p>
<p>The API works: see <a href="/docs">/docs</a>.</p></body></html>
"#;

fn main() {
    println!("cargo:rerun-if-changed=console/dist");
    let dist = Path::new("console/dist");
    let index = dist.join("index.html");
    if !index.exists() {
        let written = std::fs::create_dir_all(dist).and_then(|()| std::fs::write(&index, HINT));
        if let Err(error) = written {
            println!("cargo:warning=cannot write {}: {error}", index.display());
        }
    }
}
