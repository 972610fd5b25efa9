"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "invited": "The invitation is on its way.",
    "invitation_sent_again": "A new link is on its way. The old one no longer works.",
    "invitation_withdrawn": "The invitation is taken back.",
    "invitation_accepted": "Welcome. You are a member now.",
    "role_changed": "The role is changed.",
    "member_removed": "The member is removed.",
    "organization_left": "You have left the organization.",
    "ownership_transferred": "The organization is handed over. You are an admin now.",
    "organization_closed": "The organization is closed. Its API keys are refused from now on.",
    "plan_changed": "The plan is changed.",
    "plan_will_change": "The plan changes when the present period ends.",
    "plan_kept": "The plan stays as it is.",
    "trial_begun": "The trial has begun.",
    "subscription_cancelled": "The subscription ends with the present period.",
    "subscription_resumed": "The subscription goes on.",
    "spend_caps_saved": "The spend caps are saved.",
    "organization_created": "The organization is ready.",
}
