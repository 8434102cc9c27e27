//! Claims: the head job of an HPC run trades its claim token for its Nextflow store, once. This function may open
//! values and hand them over; it creates and deletes nothing.

use domain::Timestamp;
use domain::ports::{AnnounceRuns, DecryptDataKey, Randomness, ReadMembership, ReadSealedValues, SaveRuns};
use domain::settings::Settings;
use domain::token::Presented;
use domain::use_cases::claim::{Claim, Claimer};
use http_api::{Answer, Operation, Problem, Request};

/// What the function holds between requests.
pub struct Handler<Store, Keys, Bus, Rng> {
    /// The table.
    pub store: Store,
    /// Data keys.
    pub keys: Keys,
    /// The event bus.
    pub bus: Bus,
    /// Randomness.
    pub randomness: Rng,
    /// The deployment's choices.
    pub settings: Settings,
}

impl<Store, Keys, Bus, Rng> Handler<Store, Keys, Bus, Rng>
where
    Store: SaveRuns + ReadMembership + ReadSealedValues,
    Keys: DecryptDataKey,
    Bus: AnnounceRuns,
    Rng: Randomness,
{
    /// Answers one claim. `second_use` is called where the token was used before: perhaps by a thief.
    pub async fn handle(&self, request: Request<'_>, second_use: impl Fn()) -> Result<Answer, Problem> {
        if request.operation != Operation::ClaimRun {
            return Err(Problem::new(404, "Not Found"));
        }
        let run = request.run_id()?;
        // Any other token than the run's claim token is as good as a wrong one.
        let Presented::Opaque(key) = request.presented()? else {
            return Err(domain::Error::NotFound.into());
        };
        let claimer = Claimer {
            store: &self.store,
            keys: &self.keys,
            bus: &self.bus,
            randomness: &self.randomness,
            settings: &self.settings,
        };
        match claimer.claim(&run, &key, Timestamp::now()).await? {
            Claim::Store(store) => Ok(Answer::raw_json(200, store)),
            Claim::Ended => Err(gone("The run is over: launch anew.")),
            Claim::SecondUse => {
                second_use();
                Err(gone("The claim token was used before: launch anew. If that was not you, end the run."))
            }
        }
    }
}

fn gone(message: &str) -> Problem {
    domain::Error::Gone(message.to_owned()).into()
}
