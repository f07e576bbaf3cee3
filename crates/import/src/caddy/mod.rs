//! Caddy: from the blocks of a Caddyfile to listeners, services and routes.

mod address;
mod matcher;
mod parse;
mod site;
mod upstream;

use crate::Import;
use crate::draft::Draft;
use parse::Directive;

/// Translates a Caddyfile.
#[must_use]
pub fn caddy(text: &str, file_name: &str) -> Import {
    let mut draft = Draft::default();
    let (mut tree, faults) = parse::parse(text);
    for (line, fault) in faults {
        draft.untranslated(line, fault);
    }
    variables(&mut tree, &mut draft);
    let mut auto_https = true;
    if tree.first().is_some_and(|first| first.words.is_empty()) {
        let options = tree.remove(0);
        for option in &options.block {
            match (option.word(0), option.word(1)) {
                ("auto_https", "off") => auto_https = false,
                ("email" | "acme_ca" | "auto_https" | "local_certs", _) => {
                    draft.untranslated(
                        option.line,
                        format!("{}: Headgate gets no certificates by itself", option.shown()),
                    );
                }
                _ => draft.untranslated(option.line, format!("{}: no counterpart", option.shown())),
            }
        }
    }
    // A file with a single site may leave its braces out: the first line is the address.
    let braced = tree.iter().any(|block| !block.block.is_empty() && is_site(block));
    if !braced && !tree.is_empty() {
        let mut only = tree.remove(0);
        only.block = std::mem::take(&mut tree);
        tree.push(only);
    }
    for block in &tree {
        let first = block.word(0);
        if first.starts_with('(') {
            draft
                .untranslated(block.line, format!("{first}: a snippet; write it where it is imported first"));
        } else if block.words.is_empty() || block.block.is_empty() || !is_site(block) {
            draft.untranslated(block.line, format!("{}: not a site with directives", block.shown()));
        } else {
            site::site(block, auto_https, &mut draft);
        }
    }
    draft.finish(file_name)
}

/// Whether the words can be the addresses of a site rather than a directive with a block.
fn is_site(block: &Directive) -> bool {
    let address = |word: &String| word.contains(['.', ':', '*', ',']) || word == "localhost";
    block.words.first().is_some_and(address)
}

/// Replaces `{$NAME:default}` by its default; a variable without one cannot be known here.
fn variables(tree: &mut Vec<Directive>, draft: &mut Draft) {
    tree.retain_mut(|directive| {
        let (line, shown) = (directive.line, directive.shown());
        for word in &mut directive.words {
            while let Some((before, after)) = word.split_once("{$") {
                let Some((inside, after)) = after.split_once('}') else { break };
                let Some((name, default)) = inside.split_once(':') else {
                    draft.untranslated(
                        line,
                        format!("{}: {{${inside}}} has no default; fill it in first", shown),
                    );
                    return false;
                };
                draft.approximated(line, format!("{{${name}}}: its default, {default}, is written down"));
                *word = format!("{before}{default}{after}");
            }
        }
        variables(&mut directive.block, draft);
        true
    });
}
