import { runRoom } from '../fixtures/room.js'

runRoom('system/short')
