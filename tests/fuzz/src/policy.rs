//! Policy files: any text is a policy or an error of one line, and a policy read twice has one digest.

use understudy_captures::Policy;

/// Reads `data` as a policy file.
pub fn run(data: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(data) else { return };
    match Policy::from_yaml(yaml, "policy.yaml") {
        Ok(policy) => {
            let again = Policy::from_yaml(yaml, "policy.yaml").expect("it was read before");
            assert_eq!(policy.digest(), again.digest());
        }
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}
