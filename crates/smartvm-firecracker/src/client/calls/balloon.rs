//! The calls about the balloon.

use crate::api::{
    Balloon, BalloonHintingStatus, BalloonStartCmd, BalloonStats, BalloonStatsUpdate, BalloonUpdate,
};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Adds or replaces the balloon, before boot.
    ///
    /// # Errors
    /// When it is larger than the guest's memory or the guest was booted already.
    pub async fn put_balloon(&self, balloon: &Balloon) -> Result<(), ApiError> {
        self.put("/balloon", balloon).await
    }

    /// Changes the balloon's size, after boot. The guest follows in its own time.
    ///
    /// # Errors
    /// When there is no balloon, it would be larger than the guest's memory, or the guest was not
    /// booted.
    pub async fn patch_balloon(&self, change: &BalloonUpdate) -> Result<(), ApiError> {
        self.patch("/balloon", change).await
    }

    /// The balloon as it is configured.
    ///
    /// # Errors
    /// When there is no balloon.
    pub async fn get_balloon(&self) -> Result<Balloon, ApiError> {
        self.get("/balloon").await
    }

    /// What the guest last said of its memory, after boot.
    ///
    /// # Errors
    /// When there is no balloon, or its statistics are off.
    pub async fn get_balloon_statistics(&self) -> Result<BalloonStats, ApiError> {
        self.get("/balloon/statistics").await
    }

    /// Changes how often the guest says it, after boot.
    ///
    /// # Errors
    /// When there is no balloon, or its statistics were off at boot or would be now.
    pub async fn patch_balloon_statistics(
        &self,
        change: &BalloonStatsUpdate,
    ) -> Result<(), ApiError> {
        self.patch("/balloon/statistics", change).await
    }

    /// Asks the guest for pages that it does not use, after boot. Since 1.14.
    ///
    /// # Errors
    /// When the balloon was not configured for it.
    pub async fn start_balloon_hinting(&self, how: &BalloonStartCmd) -> Result<(), ApiError> {
        self.patch("/balloon/hinting/start", how).await
    }

    /// How far that is. Since 1.14.
    ///
    /// # Errors
    /// When the balloon was not configured for it.
    pub async fn get_balloon_hinting_status(&self) -> Result<BalloonHintingStatus, ApiError> {
        self.get("/balloon/hinting/status").await
    }

    /// Ends it. Since 1.14.
    ///
    /// # Errors
    /// When the balloon was not configured for it.
    pub async fn stop_balloon_hinting(&self) -> Result<(), ApiError> {
        self.patch_without_body("/balloon/hinting/stop").await
    }
}
