"""Why a call failed: judged from what its error says."""
