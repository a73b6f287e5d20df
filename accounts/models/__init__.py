"""What the database holds of people, of what they are called, and of the gateways that send records in."""

from accounts.models.access import PersonalAccessToken, ReadAllowance
from accounts.models.audit import AuditEntry
from accounts.models.exports import Export
from accounts.models.gateways import AIModel, Delivery, ErrorTexts, Gateway, IngestKey, Refusal
from accounts.models.guide_answers import GuideAnswer
from accounts.models.identities import GroupIdentity, Identity, TokenIdentity, UserIdentity
from accounts.models.people import ApiToken, Group, Mergeable, User, UserManager
from accounts.models.saved_views import SavedView
from accounts.models.single_sign_on import ClaimedRight, LinkedIdentity
from accounts.models.teams import Membership, Team

__all__ = [
    "AIModel",
    "ApiToken",
    "AuditEntry",
    "ClaimedRight",
    "Delivery",
    "ErrorTexts",
    "Export",
    "Gateway",
    "Group",
    "GroupIdentity",
    "GuideAnswer",
    "Identity",
    "IngestKey",
    "LinkedIdentity",
    "Membership",
    "Mergeable",
    "PersonalAccessToken",
    "ReadAllowance",
    "Refusal",
    "SavedView",
    "Team",
    "TokenIdentity",
    "User",
    "UserIdentity",
    "UserManager",
]
