//! Turns a type that implements the traits into a component's exports.

/// Exports a plugin: its type, and the interfaces it has.
///
/// ```
/// struct Mine;
/// // impl Manifest for Mine { … }, and so on
/// jackfield_sdk::export!(Mine: manifest, webhooks, calls, media);
/// ```
///
/// Natively it expands to nothing, so that several plugins can be linked into one test.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($interface:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, unreachable_pub, reason = "exports of a component")]
        const _: () = {
            struct Exported;
            $( $crate::export_interface!($interface, $plugin, Exported); )+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_interface {
    (manifest, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::describes::exports::jackfield::provider::manifest::Guest for $exported {
            fn describe() -> $crate::types::Provider {
                <$plugin as $crate::Manifest>::describe()
            }
            fn check(account: $crate::types::Account) -> Vec<$crate::types::FieldProblem> {
                <$plugin as $crate::Manifest>::check(&account)
            }
        }
        $crate::bindings::describes::export_manifest!($exported with_types_in $crate::bindings::describes);
    };
    (webhooks, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::reads_webhooks::exports::jackfield::provider::webhooks::Guest for $exported {
            fn identify(request: $crate::types::Request) -> Option<$crate::types::Identity> {
                <$plugin as $crate::Webhooks>::identify(&request)
            }
            fn authenticate(
                account: $crate::types::Account,
                request: $crate::types::Request,
                now: u64,
            ) -> Result<$crate::types::Proof, $crate::types::Disproof> {
                <$plugin as $crate::Webhooks>::authenticate(&account, &request, now)
            }
            fn read(
                account: $crate::types::Account,
                request: $crate::types::Request,
                hook: String,
            ) -> Result<Vec<$crate::types::Event>, $crate::types::Fault> {
                <$plugin as $crate::Webhooks>::read(&account, &request, &hook)
            }
            fn reply(
                account: $crate::types::Account,
                call: Option<$crate::types::Call>,
                action: $crate::types::Action,
            ) -> Result<$crate::types::Response, $crate::types::Fault> {
                <$plugin as $crate::Webhooks>::reply(&account, call.as_ref(), &action)
            }
        }
        $crate::bindings::reads_webhooks::export_webhooks!($exported with_types_in $crate::bindings::reads_webhooks);
    };
    (calls, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::controls_calls::exports::jackfield::provider::calls::Guest for $exported {
            fn probe(account: $crate::types::Account) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Calls>::probe(&$crate::http::Host, &account)
            }
            fn place(
                account: $crate::types::Account,
                request: $crate::types::PlaceRequest,
                now: u64,
            ) -> Result<$crate::types::Placed, $crate::types::Fault> {
                <$plugin as $crate::Calls>::place(&$crate::http::Host, &account, &request, now)
            }
            fn find_placed(
                account: $crate::types::Account,
                request: $crate::types::PlaceRequest,
                since: u64,
            ) -> Result<Option<$crate::types::Placed>, $crate::types::Fault> {
                <$plugin as $crate::Calls>::find_placed(&$crate::http::Host, &account, &request, since)
            }
            fn answer(
                account: $crate::types::Account,
                call: $crate::types::Call,
                action: $crate::types::Action,
            ) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Calls>::answer(&$crate::http::Host, &account, &call, &action)
            }
            fn proceed(
                account: $crate::types::Account,
                call: Option<$crate::types::Call>,
                step: String,
            ) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Calls>::proceed(&$crate::http::Host, &account, call.as_ref(), &step)
            }
            fn hang_up(
                account: $crate::types::Account,
                call: $crate::types::Call,
            ) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Calls>::hang_up(&$crate::http::Host, &account, &call)
            }
            fn inspect(
                account: $crate::types::Account,
                call: $crate::types::Call,
            ) -> Result<$crate::types::Inspection, $crate::types::Fault> {
                <$plugin as $crate::Calls>::inspect(&$crate::http::Host, &account, &call)
            }
            fn transfer(
                account: $crate::types::Account,
                call: $crate::types::Call,
                step: $crate::types::TransferStep,
            ) -> Result<$crate::types::TransferProgress, $crate::types::Fault> {
                <$plugin as $crate::Calls>::transfer(&$crate::http::Host, &account, &call, &step)
            }
            fn bind_number(
                account: $crate::types::Account,
                number: String,
                webhook: Option<String>,
            ) -> Result<$crate::types::Binding, $crate::types::Fault> {
                <$plugin as $crate::Calls>::bind_number(&$crate::http::Host, &account, &number, webhook.as_deref())
            }
            fn list_numbers(
                account: $crate::types::Account,
                cursor: Option<String>,
            ) -> Result<$crate::types::NumberPage, $crate::types::Fault> {
                <$plugin as $crate::Calls>::list_numbers(&$crate::http::Host, &account, cursor.as_deref())
            }
        }
        $crate::bindings::controls_calls::export_calls!($exported with_types_in $crate::bindings::controls_calls);
    };
    (desk, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::controls_desks::exports::jackfield::provider::desk::Guest for $exported {
            fn calls(
                account: $crate::types::Account,
                person: String,
            ) -> Result<Vec<$crate::types::DeskCall>, $crate::types::Fault> {
                <$plugin as $crate::Desk>::calls(&$crate::http::Host, &account, &person)
            }
            fn history(
                account: $crate::types::Account,
                person: String,
            ) -> Result<Vec<$crate::types::HistoryEntry>, $crate::types::Fault> {
                <$plugin as $crate::Desk>::history(&$crate::http::Host, &account, &person)
            }
            fn carry_out(
                account: $crate::types::Account,
                person: String,
                order: $crate::types::Order,
            ) -> Result<Option<String>, $crate::types::Fault> {
                <$plugin as $crate::Desk>::carry_out(&$crate::http::Host, &account, &person, &order)
            }
            fn watch(
                account: $crate::types::Account,
                person: String,
                url: Option<String>,
            ) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Desk>::watch(&$crate::http::Host, &account, &person, url.as_deref())
            }
        }
        $crate::bindings::controls_desks::export_desk!($exported with_types_in $crate::bindings::controls_desks);
    };
    (chat, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::chats::exports::jackfield::provider::chat::Guest for $exported {
            fn fetch(
                account: $crate::types::Account,
                id: String,
            ) -> Result<Option<$crate::types::ChatMessage>, $crate::types::Fault> {
                <$plugin as $crate::Chat>::fetch(&$crate::http::Host, &account, &id)
            }
            fn send(
                account: $crate::types::Account,
                person: String,
                text: String,
            ) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Chat>::send(&$crate::http::Host, &account, &person, &text)
            }
            fn listen(account: $crate::types::Account, url: String) -> Result<(), $crate::types::Fault> {
                <$plugin as $crate::Chat>::listen(&$crate::http::Host, &account, &url)
            }
        }
        $crate::bindings::chats::export_chat!($exported with_types_in $crate::bindings::chats);
    };
    (socket, $plugin:ty, $exported:ident) => {
        impl $crate::bindings::keeps_socket::exports::jackfield::provider::socket::Guest for $exported {
            fn locate(account: $crate::types::Account) -> Result<$crate::types::Endpoint, $crate::types::Fault> {
                <$plugin as $crate::Socket>::locate(&account)
            }
            fn read(
                account: $crate::types::Account,
                message: String,
                now: u64,
            ) -> Result<Vec<$crate::types::Event>, $crate::types::Fault> {
                <$plugin as $crate::Socket>::read(&account, &message, now)
            }
        }
        $crate::bindings::keeps_socket::export_socket!($exported with_types_in $crate::bindings::keeps_socket);
    };
    (media, $plugin:ty, $exported:ident) => {
        // One instance is one stream, so one value for each instance.
        ::std::thread_local! {
            static STREAM: ::std::cell::RefCell<$plugin> = ::std::cell::RefCell::default();
        }
        impl $crate::bindings::carries_media::exports::jackfield::provider::media::Guest for $exported {
            fn open(
                account: $crate::types::Account,
                call: $crate::types::Call,
            ) -> Result<$crate::types::StreamSetup, $crate::types::Fault> {
                STREAM.with_borrow_mut(|stream| $crate::Media::open(stream, &account, &call))
            }
            fn decode(message: $crate::types::Message) -> Result<Vec<$crate::types::MediaEvent>, $crate::types::Fault> {
                STREAM.with_borrow_mut(|stream| $crate::Media::decode(stream, message))
            }
            fn encode(command: $crate::types::MediaCommand) -> Result<Vec<$crate::types::Message>, $crate::types::Fault> {
                STREAM.with_borrow_mut(|stream| $crate::Media::encode(stream, command))
            }
        }
        $crate::bindings::carries_media::export_media!($exported with_types_in $crate::bindings::carries_media);
    };
}
