//! A fit in the words of a study: `[system.service.NAME]` tables and the entry of the workload.

use super::infer::Fit;
use std::fmt::Write;

/// The tables, to be put into a study or into a file of one's own.
#[must_use]
pub fn toml(fit: &Fit) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(fit, &mut out);
    out
}

fn write_all(fit: &Fit, out: &mut String) -> std::fmt::Result {
    let busiest = fit.entries.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(*name)));
    if let Some((name, _)) = busiest {
        writeln!(out, "[system.entry]\n\"*\" = {}\n", quoted(name))?;
    }
    for (name, service) in &fit.services {
        writeln!(out, "# {} spans", service.spans)?;
        writeln!(out, "[system.service.{}]\ndoes = [", quoted(name))?;
        let mean_us = service.own_mean_us.round().max(1.0);
        if service.own_cv < 0.01 {
            writeln!(out, "    {{ work = {{ constant = \"{mean_us}us\" }} }},")?;
        } else {
            let cv = (service.own_cv * 1_000.0).round() / 1_000.0;
            writeln!(out, "    {{ work = {{ lognormal = {{ mean = \"{mean_us}us\", cv = {cv:?} }} }} }},")?;
        }
        for stage in &service.stages {
            let calls: Vec<String> = stage
                .iter()
                .map(|call| {
                    let name = quoted(&call.service);
                    if call.share > 0.995 {
                        format!("{{ service = {name} }}")
                    } else {
                        format!(
                            "{{ service = {name}, share = {:?} }}",
                            (call.share * 1_000.0).round() / 1_000.0
                        )
                    }
                })
                .collect();
            writeln!(out, "    {{ calls = [{}] }},", calls.join(", "))?;
        }
        writeln!(out, "]\n")?;
    }
    Ok(())
}

/// As a basic string of TOML, which may be a key as well; on one line, whatever is in it.
fn quoted(text: &str) -> String {
    // JSON escapes what TOML does, but for one character.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
