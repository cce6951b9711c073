// SPDX-License-Identifier: GPL-3.0-only
//! Sign-on: the types first, the wire follows in the next commit.

use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::options::ClientOptions;
use crate::transport::Transport;

#[derive(Debug)]
pub(crate) struct Session {
    transport: Transport,
}

impl Session {
    pub(crate) async fn open(options: ClientOptions) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport { options },
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<(T, Endpoint), Error> {
        Err(Error::Configuration(format!(
            "{call}: the transport is not there yet"
        )))
    }
}
