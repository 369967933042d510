"""All campaigns, by name. Whoever makes one adds it here; nothing else knows which there are. Host only."""

from tests.campaigns.events import EVENTS
from tests.campaigns.frame import Campaign
from tests.campaigns.hours import HOURS
from tests.campaigns.lines import LINES
from tests.campaigns.power import POWER
from tests.campaigns.replay import REPLAY

_ALL: tuple[Campaign, ...] = (POWER, LINES, EVENTS, HOURS, REPLAY)

CAMPAIGNS = {campaign.NAME: campaign for campaign in _ALL}
"""In the order in which they are run."""
