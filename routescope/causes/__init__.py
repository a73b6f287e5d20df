"""Why a call or a task failed: one engine of rules over what its error says."""
