//! Twilio's webhook signature.

use base64::Engine as _;
use ring::hmac;

/// Base64 of HMAC-SHA1 over the URL and the parameters in order of their names; of a repeated parameter each value
/// counts once.
pub fn signature(token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort();
    fields.dedup();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(url.as_bytes());
    for (name, value) in &fields {
        context.update(name.as_bytes());
        context.update(value.as_bytes());
    }
    base64::engine::general_purpose::STANDARD.encode(context.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn it_is_what_the_vendors_own_validator_computes() {
        let fields = pairs(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &fields), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn repeated_values_count_once_and_in_order() {
        let token = "9f3c1b7ad24e48d0a5c6e1f2b3a49587";
        let fields = pairs(&[("CallSid", "CAdup"), ("Digits", "9"), ("Digits", "12"), ("Digits", "9"), ("From", "")]);
        assert_eq!(signature(token, "https://gw.example.net/dup", &fields), "DFKcaciy9MhOtXCavQzIbGV6wVY=");
    }

    #[test]
    fn an_upgrade_signs_its_url_alone() {
        let token = "9f3c1b7ad24e48d0a5c6e1f2b3a49587";
        let url = "wss://gw.example.net/api/v1/telephony/ws/12/7/4711";
        assert_eq!(signature(token, url, &[]), "4w4QaSIOyW6I1tQyzuNZqO+mq/A=");
    }
}
