//! `headgate reload`: has a running Headgate load its configuration again, and tells what came of it.

use crate::admin_client::ask;
use crate::say::{Failure, say};
use std::time::Duration;

/// A reload may compile many routes and read many certificates.
const PATIENCE: Duration = Duration::from_secs(60);

/// # Errors
/// When nobody answers at `admin`, or the configuration there was refused: then with all that is wrong with it.
pub(crate) fn run(admin: &str) -> Result<(), Failure> {
    let answer = ask(admin, "POST", "/reload", PATIENCE)?;
    let text = answer.body.trim_end();
    match answer.status {
        200 => say(text),
        422 => Err(format!("nothing was reloaded, the old configuration stays:\n{text}").into()),
        status => Err(format!("{admin} answered {status}: {text}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::admin_client::tests::serve_once;

    #[test]
    fn only_a_configuration_that_is_applied_is_a_success() {
        for (status, fine) in
            [("200 OK", true), ("422 Unprocessable Entity", false), ("404 Not Found", false)]
        {
            let (address, serving) =
                serve_once(&format!("HTTP/1.1 {status}\r\ncontent-length: 9\r\n\r\n3:1: odd\n"));
            let result = run(&address);
            serving.join().unwrap();
            assert_eq!(result.is_ok(), fine, "{status}");
            if let Err(error) = result {
                assert!(error.to_string().ends_with("3:1: odd"), "{error}");
            }
        }
    }
}
