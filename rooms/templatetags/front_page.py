from django import template

from rooms.staff import front

register = template.Library()
register.simple_tag(front.sections, name="front_page")
