//! Opening the pinned values of a run, after its audit record is written.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::envelope::{EncryptionContext, Envelope};
use crate::name::SecretName;
use crate::ports::DecryptDataKey;
use crate::run::PinnedSecret;
use crate::secret::SealedValue;
use crate::settings::Settings;
use crate::value::SecretValue;
use crate::{Error, Result};

/// Opens the values of all pins concurrently. Any failure fails the whole call.
pub(crate) async fn open_values(
    keys: &dyn DecryptDataKey,
    pins: &[PinnedSecret],
    sealed: &[SealedValue],
    settings: &Settings,
) -> Result<BTreeMap<SecretName, SecretValue>> {
    let opened = join_all(pins.iter().map(async |pin| {
        let value = value_of(pin, sealed).ok_or(Error::bug("a pinned value was not read"))?;
        let context = EncryptionContext {
            deployment: settings.deployment.clone(),
            owner: pin.owner,
            secret: pin.id,
            name: pin.name.clone(),
            version: pin.version,
        };
        let envelope = Envelope::parse(&value.envelope)?;
        let key = keys.decrypt_data_key(envelope.encrypted_key(), &context).await?;
        Ok((pin.name.clone(), envelope.open(&context, &key)?))
    }))
    .await;
    opened.into_iter().collect()
}

/// Returns the pins with the versions that were read, and whether any pin changed. If a secret no
/// longer exists, returns its name as the error.
pub(crate) fn pin_read_versions(
    pins: &[PinnedSecret],
    sealed: &[SealedValue],
) -> std::result::Result<(Vec<PinnedSecret>, bool), SecretName> {
    let mut changed = false;
    let read = pins
        .iter()
        .map(|pin| {
            let value = value_of(pin, sealed).ok_or_else(|| pin.name.clone())?;
            changed |= value.version != pin.version;
            Ok(PinnedSecret { version: value.version, ..pin.clone() })
        })
        .collect::<std::result::Result<_, _>>()?;
    Ok((read, changed))
}

fn value_of<'a>(pin: &PinnedSecret, sealed: &'a [SealedValue]) -> Option<&'a SealedValue> {
    sealed.iter().find(|value| value.owner == pin.owner && value.secret == pin.id)
}

#[cfg(test)]
mod tests;
