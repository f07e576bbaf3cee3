//! Caddy: from the blocks of a Caddyfile to listeners, services and routes.

mod address;
mod guard;
mod matcher;
mod options;
mod order;
mod parse;
mod site;
mod upstream;

use crate::Import;
use crate::draft::Draft;
use parse::Directive;
use std::collections::BTreeMap;

/// Translates a Caddyfile.
#[must_use]
pub fn caddy(text: &str, file_name: &str) -> Import {
    let mut draft = Draft::default();
    let (mut tree, faults) = parse::parse(text);
    for (line, fault) in faults {
        draft.fault(line, fault);
    }
    variables(&mut tree, &mut draft);
    let (mut snippets, mut lines) = (Snippets::new(), Vec::new());
    tree.retain(|block| {
        let name = block.word(0).strip_prefix('(').and_then(|name| name.strip_suffix(')'));
        if let Some(name) = name {
            lines.push((name.to_owned(), block.line));
            snippets.insert(name.to_owned(), block.block.clone());
        }
        name.is_none()
    });
    let imported = |name: &str| {
        let in_snippets = snippets.values().flatten().any(|directive| imports(directive, name));
        in_snippets || tree.iter().any(|directive| imports(directive, name))
    };
    for (name, line) in lines.iter().filter(|(name, _)| !imported(name)) {
        draft.unneeded(*line, format!("({name}): nothing imports it; the whole block"));
    }
    let mut copies = 0;
    for block in &mut tree {
        expand(&mut block.block, &snippets, 0, &mut copies);
    }
    let top = if tree.first().is_some_and(|first| first.words.is_empty()) {
        tree.remove(0).block
    } else {
        Vec::new()
    };
    let options = options::options(&top, &mut draft);
    // A file with a single site may leave its braces out: the first line is the address.
    let braced = tree.iter().any(|block| !block.block.is_empty() && is_site(block));
    if !braced && !tree.is_empty() {
        let mut only = tree.remove(0);
        only.block = std::mem::take(&mut tree);
        tree.push(only);
    }
    for block in &tree {
        let first = block.word(0);
        if first == "import" {
            let text = format!("{}: paste the file here first", block.shown());
            draft.untranslated(block.line, text);
        } else if block.words.is_empty() || block.block.is_empty() || !is_site(block) {
            draft.untranslated(
                block.line,
                format!("{}: not a site with directives; the whole block", block.shown()),
            );
        } else {
            site::site(block, options.auto_https, &options.order, &mut draft);
        }
    }
    options.apply(&mut draft);
    draft.finish(file_name)
}

/// Whether the words can be the addresses of a site rather than a directive with a block.
fn is_site(block: &Directive) -> bool {
    let address = |word: &String| word.contains(['.', ':', '*', ',']) || word == "localhost";
    block.words.first().is_some_and(address)
}

/// The blocks of `(name) { ... }`.
type Snippets = BTreeMap<String, Vec<Directive>>;

/// Directives that all imports together may copy, and how deep snippets may import each other.
const MAX_COPIES: usize = 10_000;
const MAX_IMPORTS: usize = 8;

/// Puts snippets in the place of `import name`, with `{args[0]}` and so on filled in. An import that is
/// none of them stays.
fn expand(block: &mut Vec<Directive>, snippets: &Snippets, depth: usize, copies: &mut usize) {
    let mut out = Vec::with_capacity(block.len());
    for mut directive in std::mem::take(block) {
        let snippet = snippets.get(directive.word(1));
        match snippet.filter(|_| directive.word(0) == "import" && depth < MAX_IMPORTS && *copies < MAX_COPIES)
        {
            Some(snippet) => {
                *copies += 1 + snippet.len();
                let mut copy = snippet.clone();
                fill_arguments(&mut copy, directive.rest(2));
                expand(&mut copy, snippets, depth + 1, copies);
                out.append(&mut copy);
            }
            None => {
                expand(&mut directive.block, snippets, depth, copies);
                out.push(directive);
            }
        }
    }
    *block = out;
}

/// Whether a directive or one inside it imports this snippet.
fn imports(directive: &Directive, name: &str) -> bool {
    directive.word(0) == "import" && directive.word(1) == name
        || directive.block.iter().any(|inner| imports(inner, name))
}

fn fill_arguments(block: &mut [Directive], arguments: &[String]) {
    for directive in block {
        for word in &mut directive.words {
            for (at, argument) in arguments.iter().enumerate() {
                *word = word
                    .replace(&format!("{{args[{at}]}}"), argument)
                    .replace(&format!("{{args.{at}}}"), argument);
            }
        }
        fill_arguments(&mut directive.block, arguments);
    }
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
