"""A router that sends VIP rooms and gold customers to one agent."""

from my_vip_router.router import VipRouter

__all__ = ["VipRouter", "plugin"]

plugin = VipRouter()
